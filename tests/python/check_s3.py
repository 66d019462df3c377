"""Prove that a coreset on S3 opens in the tools people use and equals the same coreset on disk.

Usage: check_s3.py s3://BUCKET/PREFIX/coreset LOCAL_CORESET

Opens the shards in the bucket with pyarrow's own S3 client and with Hugging Face datasets (through
s3fs), and compares rows and features with those on disk. The server comes from AWS_ENDPOINT_URL and
the other AWS_ variables. Prints one line per tool; exits 1 with the reason at the first difference.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

CACHE = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = CACHE.name

import datasets
import pyarrow as pa
import pyarrow.dataset as ds
import s3fs
from pyarrow.fs import S3FileSystem


def check(condition: bool, reason: str) -> None:
    if not condition:
        print(f"FAIL {reason}", file=sys.stderr)
        sys.exit(1)


def with_pyarrow(coreset: str, local: Path) -> pa.Table:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    s3 = S3FileSystem(
        endpoint_override=endpoint.split("://")[1],
        scheme=endpoint.split("://")[0],
        region=os.environ["AWS_REGION"],
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    path = coreset.removeprefix("s3://") + "/data"
    found = ds.dataset(path, filesystem=s3, format="parquet").to_table()
    wanted = ds.dataset(local / "data", format="parquet").to_table()
    check(len(wanted) > 0, "the coreset on disk is empty")
    check(found.schema.equals(wanted.schema, check_metadata=True), f"pyarrow: {found.schema}")
    check(found.equals(wanted), "pyarrow: the rows differ")
    return found


def with_datasets(coreset: str, local: Path) -> datasets.Dataset:
    options = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    shards = f"{coreset}/data/*.parquet"
    found = datasets.load_dataset(
        "parquet", data_files=shards, split="train", storage_options=options
    )
    wanted = datasets.load_dataset("parquet", data_files=f"{local}/data/*.parquet", split="train")
    check(found.features == wanted.features, f"datasets: {found.features}")
    same = found.with_format("arrow")[:].equals(wanted.with_format("arrow")[:])
    check(same, "datasets: the rows differ")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coreset")
    parser.add_argument("local", type=Path)
    args = parser.parse_args()
    datasets.disable_progress_bars()
    coreset = args.coreset.rstrip("/")

    rows = len(with_pyarrow(coreset, args.local))
    print(f"OK pyarrow {pa.__version__}: {rows} rows on S3 equal those on disk")
    rows = len(with_datasets(coreset, args.local))
    print(f"OK datasets {datasets.__version__} with s3fs {s3fs.__version__}: {rows} rows, features too")


if __name__ == "__main__":
    main()
