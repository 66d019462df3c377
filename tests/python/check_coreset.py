"""Prove that a coreset opens in the tools people use and equals its source, row by row.

Usage: check_coreset.py CORESET_DIR SOURCE.parquet... [--id id] [--label label]

Opens the shards with Hugging Face datasets (offline), pyarrow, Polars and DuckDB, and compares
every column of every row with the source row of the same id. Prints one line per tool; exits 1
with the reason at the first difference.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

CACHE = tempfile.TemporaryDirectory()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HOME"] = CACHE.name

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Image, load_dataset

SCORES = ["unseen_score", "unseen_rank", "unseen_stage"]


def check(condition: bool, reason: str) -> None:
    if not condition:
        print(f"FAIL {reason}", file=sys.stderr)
        sys.exit(1)


class Case:
    """The coreset, its source, and which source row belongs to which coreset row."""

    def __init__(self, coreset: Path, sources: list[str], id_column: str, label: str):
        self.dir, self.sources, self.id, self.label = coreset, sources, id_column, label
        self.shards = sorted(str(p) for p in (coreset / "data").glob("*.parquet"))
        check(bool(self.shards), f"no shards below {coreset}/data")
        self.schema = pq.read_schema(sources[0])
        self.columns = self.schema.names
        self.source = pa.concat_tables([pq.read_table(s).select(self.columns) for s in sources])
        at = {id: row for row, id in enumerate(self.source[id_column].to_pylist())}
        check(len(at) == len(self.source), "the source has duplicate ids")
        self.ids = pa.concat_tables([pq.read_table(s, columns=[id_column]) for s in self.shards])
        self.ids = self.ids[id_column].to_pylist()
        check(len(set(self.ids)) == len(self.ids), "the coreset has duplicate ids")
        unknown = [id for id in self.ids if id not in at]
        check(not unknown, f"ids that are not in the source: {unknown[:5]}")
        self.rows = [at[id] for id in self.ids]
        self.wanted = comparable(self.source).take(pa.array(self.rows, pa.int64()))

    def same(self, found: pa.Table, wanted: pa.Table, tool: str) -> None:
        """All source columns are equal; the first id that differs is named."""
        extra = [name for name in found.column_names if name not in self.columns]
        check(extra in ([], SCORES), f"{tool}: columns beyond the source: {extra}")
        check(len(found) == len(wanted), f"{tool}: {len(found)} rows, {len(wanted)} wanted")
        for name in self.columns:
            a, b = found[name].combine_chunks(), wanted[name].combine_chunks()
            check(a.type == b.type, f"{tool}: column {name} is {a.type}, in the source {b.type}")
            if a.equals(b):
                continue
            for row, id in enumerate(self.ids):
                same = a.slice(row, 1).equals(b.slice(row, 1)) or is_nan(a[row], b[row])
                check(same, f"{tool}: id {id} differs in column {name}")


def comparable(table: pa.Table) -> pa.Table:
    """Views in their large form, dictionaries as values: pyarrow neither takes nor compares those."""
    large = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}

    def kind(type: pa.DataType) -> pa.DataType:
        return type.value_type if pa.types.is_dictionary(type) else large.get(type, type)

    fields = [field.with_type(kind(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def is_nan(a: pa.Scalar, b: pa.Scalar) -> bool:
    a, b = a.as_py(), b.as_py()
    return a != a and b != b


def check_names(case: Case) -> str:
    """Shards are numbered without a gap and lie next to a complete record."""
    names = [re.fullmatch(r"(\w+)-(\d{5})-of-(\d{5})\.parquet", Path(s).name) for s in case.shards]
    check(all(names), f"shard names: {case.shards}")
    numbers = [(int(n[2]), int(n[3])) for n in names]
    check(numbers == [(i, len(names)) for i in range(len(names))], f"shard numbers: {numbers}")
    return names[0][1]


def metadata(path: str) -> dict:
    """The keys of the Arrow schema and of the footer together."""
    footer = dict(pq.read_metadata(path).metadata or {})
    footer.pop(b"ARROW:schema", None)
    return footer | (pq.read_schema(path).metadata or {})


def check_pyarrow(case: Case) -> None:
    for shard in case.shards:
        schema = pq.read_schema(shard)
        fields = [schema.field(name) for name in case.columns]
        wanted = [case.schema.field(name) for name in case.columns]
        same = all(a.equals(b, check_metadata=True) for a, b in zip(fields, wanted))
        check(same, f"pyarrow: the schema of {shard} is not the source's")
        found, wanted = metadata(shard), metadata(case.sources[0])
        check(found == wanted, f"pyarrow: metadata {found} of {shard}, not {wanted}")
    found = pa.concat_tables([pq.read_table(s) for s in case.shards])
    case.same(comparable(found), case.wanted, "pyarrow")


def undecoded(features: Features) -> Features:
    """The same columns with images as stored bytes."""
    return Features(
        {k: Image(mode=f.mode, decode=False) if isinstance(f, Image) else f for k, f in features.items()}
    )


def check_datasets(case: Case, split: str) -> str:
    try:
        source = load_dataset("parquet", data_files=case.sources, split="train")
    except Exception as error:  # whatever it is, the source itself is beyond the tool
        return f"cannot load the source either ({error.__cause__ or error})"
    found = load_dataset(str(case.dir), split=split)
    extra = [name for name in found.column_names if name not in case.columns]
    kept = {name: f for name, f in found.features.items() if name in case.columns}
    if b"huggingface" in (case.schema.metadata or {}):
        check(kept == dict(source.features), f"datasets: features {kept}, not {source.features}")
        alone = load_dataset("parquet", data_files=case.shards, split="train")
        alone = {name: f for name, f in alone.features.items() if name in case.columns}
        check(alone == dict(source.features), f"datasets: features without the card: {alone}")
    else:
        check_restored(case, found)
    decoded = [name for name, f in found.features.items() if isinstance(f, Image)]
    for name in decoded:
        first = next((row[name] for row in found.select_columns([name]) if row[name]), None)
        check(first is None or first.size[0] > 0, f"datasets: the first {name} is empty")
    plain = undecoded(Features({name: found.features[name] for name in case.columns}))
    wanted = source.select(case.rows).select_columns(case.columns).cast(plain)
    raw = found.remove_columns(extra).cast(plain)
    raw, wanted = (comparable(t.with_format("arrow")[:]) for t in (raw, wanted))
    case.same(raw, wanted, "datasets")
    return f"{len(raw)} rows equal their source, features restored"


def check_restored(case: Case, found: datasets.Dataset) -> None:
    """Without Hugging Face metadata the card brings images and classes back."""
    for field in case.schema:
        image = pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        if image:
            ok = isinstance(found.features[field.name], Image)
            check(ok, f"datasets: {field.name} is {found.features[field.name]}, not an Image")
    names = (case.schema.metadata or {}).get(b"class_names")
    if names and pa.types.is_integer(case.schema.field(case.label).type):
        wanted = ClassLabel(names=json.loads(names))
        ok = found.features[case.label] == wanted
        check(ok, f"datasets: {case.label} is {found.features[case.label]}, not {wanted}")


def check_polars(case: Case) -> None:
    found = pl.read_parquet(case.shards).select(case.columns)
    source = pl.concat([pl.read_parquet(s).select(case.columns) for s in case.sources])
    wanted = source[case.rows]
    check(found.schema == wanted.schema, f"polars: {found.schema}, not {wanted.schema}")
    for name in case.columns:
        check(found[name].equals(wanted[name]), f"polars: column {name} differs")


def check_duckdb(case: Case) -> None:
    con = duckdb.connect()
    id = f'"{case.id}"'
    other = [f's."{n}" IS DISTINCT FROM c."{n}"' for n in case.columns if n != case.id]
    differ = f"count(*) FILTER (WHERE {' OR '.join(other)})" if other else "0"
    query = f"SELECT count(*), {differ} FROM read_parquet(?) c JOIN read_parquet(?) s ON s.{id} = c.{id}"
    rows, differ = con.execute(query, [case.shards, case.sources]).fetchone()
    check(rows == len(case.ids), f"duckdb: {rows} rows join, {len(case.ids)} wanted")
    check(differ == 0, f"duckdb: {differ} rows differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coreset", type=Path)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--id", default="id")
    parser.add_argument("--label", default="label")
    args = parser.parse_args()
    datasets.disable_progress_bars()

    case = Case(args.coreset, args.sources, args.id, args.label)
    split = check_names(case)
    rows = f"{len(case.ids)} rows in {len(case.shards)} shards equal their source"
    check_pyarrow(case)
    print(f"OK pyarrow {pa.__version__}: {rows}, schema and metadata too")
    print(f"OK datasets {datasets.__version__}: {check_datasets(case, split)}")
    check_polars(case)
    print(f"OK polars {pl.__version__}: {rows}")
    check_duckdb(case)
    print(f"OK duckdb {duckdb.__version__}: {rows}")


if __name__ == "__main__":
    main()
