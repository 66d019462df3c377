"""Runs the Python of docs/external.md and the commands around it, as a reader would.

    check_external.py UNSEEN FOLDER
"""

import json
import pathlib
import random
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).parents[2]
RECIPE = """
seed = 3
[data]
uri = "{folder}/train.parquet"
features = "features"
[model]
arch = "linear"
[folds]
k = 3
[select]
by = "margin"
keep = 0.5
[output]
uri = "{folder}/never-run"
"""


def write_data(folder: pathlib.Path) -> None:
    chance = random.Random(1)
    rows = [
        {
            "id": f"s{i:03}",
            "label": i % 3,
            "features": [chance.gauss(2.0 * (i % 3 == 0), 1.0), chance.gauss(2.0 * (i % 3 == 1), 1.0)],
        }
        for i in range(120)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")


def main(unseen: str, place: str) -> None:
    folder = pathlib.Path(place)
    write_data(folder)
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))

    def run(*args: str) -> dict:
        end = subprocess.run([unseen, *args, "--json"], cwd=folder, capture_output=True, text=True)
        assert end.returncode == 0, (args, end.stderr)
        return json.loads(end.stdout)

    folds = run("folds", "recipe.toml", "--output", "folds.parquet")
    assert folds["folds"] == [40, 40, 40], folds
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/external.md").read_text(), re.S)
    assert len(blocks) == 1, "docs/external.md has one program"
    subprocess.run([sys.executable, "-c", blocks[0]], cwd=folder, check=True)

    methods = "margin,cross_entropy,forgetting,aum_logit_mean"
    tables = ["--predictions", "predictions.parquet", "--members", "members.parquet"]
    scored = run("score", *tables, "--methods", methods, "--output", "scores.parquet")
    assert (scored["samples"], scored["rows"], scored["epochs"]) == (120, 240, 3), scored
    assert [m["name"] for m in scored["models"]] == ["model-0", "model-1", "model-2"], scored
    assert all(m["accuracy"] > 0.5 for m in scored["models"]), "three blobs are easy"

    scores = pq.read_table(folder / "scores.parquet")
    fold = dict(zip(*(pq.read_table(folder / "folds.parquet").to_pydict()[c] for c in ("id", "fold"))))
    for row in scores.to_pylist():
        assert row["fold"] == fold[row["id"]] != row["model"], row
    check_margins(scores, pq.read_table(folder / "predictions.parquet"))

    select = ["select", "--scores", "scores.parquet", "--by", "margin", "--keep", "0.5"]
    chosen = run(*select, "--output", "selection.parquet")
    kept = pq.read_table(folder / "selection.parquet").to_pandas().query("kept")
    assert len(kept) == chosen["kept"] == 60, chosen
    mean = scores.group_by("id").aggregate([("margin", "mean")]).to_pandas().set_index("id")
    by_hand = mean["margin_mean"].sort_values(kind="stable").index[:60]
    assert set(by_hand) == set(kept["id"]), "the 60 smallest mean margins are kept"
    assert run(*select, "--dry-run")["output"] is None
    print("docs/external.md runs, and 60 of 120 samples are kept by the models of its program")


def check_margins(scores: pa.Table, predictions: pa.Table) -> None:
    """The margins of the last epoch, computed anew."""
    from math import exp

    last = {(p["id"], p["model"]): p["logits"] for p in predictions.to_pylist() if p["epoch"] == 2}
    for row in scores.to_pylist():
        logits = last[row["id"], f"model-{row['model']}"]
        weights = sorted((exp(z - max(logits)) for z in logits), reverse=True)
        margin = (weights[0] - weights[1]) / sum(weights)
        assert abs(margin - row["margin"]) < 1e-5, row


if __name__ == "__main__":
    main(*sys.argv[1:])
