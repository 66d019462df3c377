"""Write a Hugging Face dataset (Image and ClassLabel features, several shards) with `datasets`.

Usage: make_hf_dataset.py SOURCE.parquet OUT_DIR [--shards 3]

The source has columns id, image (struct of bytes and path), label and split, and `class_names` in
its schema metadata, like data/fashion_mnist_6k.parquet. Only its train split is written.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp()

import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, Value, disable_progress_bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("out", type=Path)
    parser.add_argument("--shards", type=int, default=3)
    args = parser.parse_args()
    disable_progress_bars()

    table = pq.read_table(args.source)
    names = json.loads(table.schema.metadata[b"class_names"])
    table = table.filter(pc.equal(table["split"], "train")).select(["id", "image", "label"])
    features = Features(
        {"id": Value("string"), "image": Image(), "label": ClassLabel(names=names)}
    )
    dataset = Dataset(table.replace_schema_metadata(None)).cast(features)

    data = args.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    for index in range(args.shards):
        shard = dataset.shard(args.shards, index, contiguous=True)
        shard.to_parquet(data / f"train-{index:05d}-of-{args.shards:05d}.parquet", batch_size=300)
    print(f"{len(dataset)} rows in {args.shards} shards below {args.out}")


if __name__ == "__main__":
    main()
