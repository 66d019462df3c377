"""Write tests/golden/embedding_*.json: the scores of embeddings, computed plainly with NumPy in 64 bits.

Usage: generate_embeddings.py data/fashion_mnist_6k.parquet

NumPy computes everything; pyarrow and Pillow only decode the real images. Each function is written from
the paper (and the authors' code where named), not from ours: whole distance matrices, plain greedy loops.

Where an order is written down, no choice may hang on rounding: candidates either tie exactly (copies,
integer grids) or differ by more than 1e-6, else the script stops.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NEIGHBORS, GAMMA = 5, 0.1
SAME, APART = 1e-9, 1e-6


def best(values, ties, left):
    """The greatest of the values that are left; among equals the smaller tie."""
    top = max(values[i] for i in left)
    scale = max(1.0, abs(top))
    equal = [i for i in left if top - values[i] <= SAME * scale]
    close = [i for i in left if SAME * scale < top - values[i] <= APART * scale]
    assert not close, f"{close} are too close to {equal}"
    return min(equal, key=lambda i: (ties[i], i))


def greedy(n, ties, values, choose):
    """Places: values() gives what is wanted now, choose(i) takes note of the choice."""
    places, left = np.empty(n, int), set(range(n))
    for place in range(n):
        i = best(values(), ties, left)
        places[i] = place
        left.remove(i)
        choose(i)
    return places


def distances(x):
    return np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(-1))


def moderate(x, labels):
    """tmllab/2023_ICLR_Moderate-DS: np.median features of a class, one median over all distances."""
    d = np.empty(len(x))
    for c in np.unique(labels):
        d[labels == c] = np.linalg.norm(x[labels == c] - np.median(x[labels == c], axis=0), axis=1)
    return np.abs(d - np.median(d))


def k_means(x, start):
    """Lloyd's steps from the rows `start`; the distance to the nearest centroid."""
    centroids = x[start].copy()
    for _ in range(100):
        owner = ((x[:, None] - centroids[None]) ** 2).sum(-1).argmin(1)
        moved = np.array([x[owner == c].mean(0) if (owner == c).any() else centroids[c]
                          for c in range(len(start))])
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return np.sqrt(((x[:, None] - centroids[None]) ** 2).sum(-1)).min(1)


def k_center(x, ties):
    d = distances(x)
    nearest = np.full(len(x), 1e9)
    return greedy(len(x), ties, lambda: nearest, lambda i: np.minimum(nearest, d[i], out=nearest))


def herding(x, ties):
    mean, chosen = x.mean(0), []
    def values():
        lacking = (len(chosen) + 1) * mean - x[chosen].sum(0)
        return -((lacking - x) ** 2).sum(1)
    return greedy(len(x), ties, values, chosen.append)


def neighbors(x, ties):
    d = distances(x)
    for i in range(len(x)):
        others = sorted((j for j in range(len(x)) if j != i), key=lambda j: (round(d[i, j], 9), ties[j], j))
        gap = d[i, others[NEIGHBORS]] - d[i, others[NEIGHBORS - 1]]
        assert not SAME < gap <= APART, "neighbours too close"
        yield others[:NEIGHBORS], d[i, others[:NEIGHBORS]]


def cal(x, p, ties):
    """mourga/contrastive-active-learning: KLDivLoss(log p of the candidate, p of the neighbour), mean."""
    return np.array([np.mean([(p[j] * np.log(p[j] / p[i])).sum() for j in near])
                     for i, (near, _) in enumerate(neighbors(x, ties))])


def d2(x, difficulty, ties):
    """adymaharana/d2pruning: graph mode sum, sampling mode weighted, precomputed neighbours."""
    graph = list(neighbors(x, ties))
    wanted = np.array([difficulty[i] + (np.exp(-d) * difficulty[near]).sum()
                       for i, (near, d) in enumerate(graph)])
    def choose(i):
        near, d = graph[i]
        wanted[near] -= np.exp(-GAMMA * d) * wanted[i]
    return greedy(len(x), ties, lambda: wanted, choose)


def facility_location(x, ties):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    u = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
    similarity = 0.5 + 0.5 * np.round(u @ u.T, 12)
    covered = np.zeros(len(x))
    def values():
        return np.maximum(0, similarity - covered[:, None]).sum(0)
    return greedy(len(x), ties, values, lambda i: np.maximum(covered, similarity[i], out=covered))


def write(name, x, labels, p, difficulty, ties, start):
    x, p, difficulty = (np.float32(np.round(a, 4)).astype(float) for a in (x, p, difficulty))
    numbers = lambda a: [float(f"{v:.10g}") for v in np.ravel(a)]
    golden = {
        "width": x.shape[1], "classes": p.shape[1], "neighbors": NEIGHBORS, "gamma": GAMMA,
        "points": [float(f"{v:.4f}") for v in np.ravel(x)],
        "labels": labels.tolist(),
        "probabilities": [float(f"{v:.4f}") for v in np.ravel(p)],
        "difficulty": [float(f"{v:.4f}") for v in np.ravel(difficulty)],
        "ties": [int(t) for t in ties], "start": start,
        "moderate": numbers(moderate(x, labels)),
        "k_means": numbers(k_means(x, start)),
        "k_center": k_center(x, ties).tolist(),
        "herding": herding(x, ties).tolist(),
        "cal": numbers(cal(x, p, ties)),
        "d2": d2(x, difficulty, ties).tolist(),
        "facility_location": facility_location(x, ties).tolist(),
    }
    path = HERE / f"embedding_{name}.json"
    path.write_text("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in golden.items()) + "\n}\n")


def images(path, count, side):
    """The first images of the file, averaged to side x side, and their labels."""
    import pyarrow.parquet as pq
    from PIL import Image
    rows = pq.read_table(path, columns=["image", "label"]).slice(0, count).to_pylist()
    pixels = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])), float) / 255 for row in rows]
    cell = pixels[0].shape[0] // side
    small = [p.reshape(side, cell, side, cell).mean((1, 3)).ravel() for p in pixels]
    return np.array(small), np.array([int(row["label"]) for row in rows])


def others(rng, n, classes):
    """Probabilities, difficulties and ties."""
    ties = rng.integers(0, 2**63, n, dtype=np.uint64)
    p = rng.dirichlet(np.full(classes, 0.7), n) + 1e-3
    return p / p.sum(1, keepdims=True), rng.random(n), ties


def main():
    rng = np.random.default_rng(4)
    x, labels = rng.normal(size=(60, 8)) + 3 * rng.normal(size=(1, 8)), rng.integers(0, 4, 60)
    write("random", x, labels, *others(rng, 60, 4), [0, 1, 2, 3, 4])
    # Copies and an integer grid with a zero vector: ties everywhere. 32 rows keep the mean exact.
    grid = rng.integers(-2, 3, (20, 3)).astype(float)
    grid[7] = 0
    x = np.concatenate([grid, grid[:12]])
    write("ties", x, rng.integers(0, 3, 32), *others(rng, 32, 3), [0, 1, 2])
    x, labels = images(sys.argv[1], 60, 7)
    write("real", x, labels, *others(rng, 60, 10), list(range(10)))


main()
