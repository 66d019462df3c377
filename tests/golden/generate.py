"""Writes the golden files beside it: scores computed by NumPy in f64 (the gradient of GraNd by
PyTorch, label errors by cleanlab), of random and of real predictions.

    pip install numpy torch cleanlab scikit-learn pyarrow pillow
    python tests/golden/generate.py

The numbers depend on the versions of these packages only through the training of the logistic
regressions; the tests need none of them.
"""

import contextlib
import functools
import io
import json
import pathlib
import warnings

import numpy as np
import pyarrow.parquet as pq
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import cross_val_predict

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


def main():
    random = np.random.default_rng(4)
    snapshots(random)
    trajectories(random)
    wrong_labels(random)


# ---- scores of one snapshot


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def others(values, labels):
    """The largest value of another class than the label."""
    masked = np.array(values, dtype=np.float64)
    np.put_along_axis(masked, labels[..., None], -np.inf, -1)
    return masked.max(-1)


def own(values, labels):
    return np.take_along_axis(values, labels[..., None], -1)[..., 0]


def snapshot_scores(z, labels):
    p = softmax(z)
    ordered = np.sort(p, -1)
    return {
        "entropy": -(p * np.log(p)).sum(-1),
        "margin": ordered[:, -1] - ordered[:, -2],
        "least_confidence": 1 - ordered[:, -1],
        "el2n": np.linalg.norm(p - np.eye(z.shape[1])[labels], axis=1),
        "cross_entropy": -np.log(own(p, labels)),
        "self_confidence": get_label_quality_scores(labels, p, method="self_confidence"),
        "normalized_margin": get_label_quality_scores(labels, p, method="normalized_margin"),
        "confidence_weighted_entropy": get_label_quality_scores(
            labels, p, method="confidence_weighted_entropy"
        ),
    }


def grand(h, weights, bias, labels):
    """The norm of the gradient by the last layer, one sample after another, by autograd."""
    norms = []
    for x, y in zip(torch.tensor(h), torch.tensor(labels)):
        w = torch.tensor(weights, requires_grad=True)
        b = torch.tensor(bias, requires_grad=True)
        torch.nn.functional.cross_entropy((w @ x + b)[None], y[None]).backward()
        norms.append(torch.sqrt((w.grad**2).sum() + (b.grad**2).sum()).item())
    return np.array(norms)


def snapshots(random):
    n, d, c = 60, 8, 7
    h, weights, bias = random.normal(size=(n, d)), random.normal(size=(c, d)), random.normal(size=c)
    write_snapshot("random", h, weights, bias, random.integers(0, c, n))

    x, y = fashion()
    model = LogisticRegression(max_iter=200).fit(x[:1000], y[:1000])
    unseen = slice(1000, 1060)
    write_snapshot("real", x[unseen], model.coef_, model.intercept_, y[unseen])


def write_snapshot(name, h, weights, bias, labels):
    z = (h @ weights.T + bias).astype(np.float32)
    scores = snapshot_scores(z.astype(np.float64), labels)
    scores["grand"] = grand(h, weights, bias, labels)
    norms = np.linalg.norm(h, axis=1).astype(np.float32)
    write(f"snapshot_{name}", z, labels, embedding_norms=norms, scores=scores)


# ---- scores of trajectories; arrays are epochs x samples x classes


def trajectory_scores(z, labels, window, decay):
    epochs, n, _ = z.shape
    p = softmax(z)
    y = np.broadcast_to(labels, (epochs, n))
    py = own(p, y)
    logit_margin = own(z, y) - others(z, y)
    right = logit_margin > 0
    forgotten = (right[:-1] & ~right[1:]).sum(0).astype(np.float64)
    never = ~right.any(0)

    step = np.abs(p[1:] * (np.log(p[1:] + 1e-8) - np.log(p[:-1] + 1e-8))).sum(-1)
    windows = range(epochs - window + 1)
    tdds = np.zeros(n)
    for k in windows:
        a = step[k : k + window - 1]
        spread = np.linalg.norm(a - a.mean(0), axis=0)
        tdds += decay * (1 - decay) ** (epochs - window - k) * spread
    std = np.array([py[k : k + window].std(0, ddof=1) for k in windows])
    mean = np.array([py[k : k + window].mean(0) for k in windows])
    return {
        "forgetting": np.where(never, float(epochs), forgotten),
        "aum_logit_mean": logit_margin.mean(0),
        "aum_prob_sum": (py - others(p, y)).sum(0),
        "tdds": tdds,
        "dyn_unc": std.mean(0),
        "dual": (std * (1 - mean)).mean(0),
        "mean_confidence": py.mean(0),
    }


def trajectories(random):
    epochs, n, c = 14, 24, 5
    steps = random.normal(size=(epochs, n, c))
    write_trajectory("random", steps.cumsum(0), random.integers(0, c, n), 5, 0.7)

    x, y = fashion()
    model = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=0)
    train, unseen = slice(0, 600), np.r_[600:630]
    z = []
    for _ in range(12):
        model.partial_fit(x[train], y[train], classes=np.arange(10))
        # A temperature, or nearly all probabilities were 0 or 1.
        z.append(model.decision_function(x[unseen]) / 4)
    write_trajectory("real", np.array(z), y[unseen], 10, 0.9)


def write_trajectory(name, z, labels, window, decay):
    z = z.astype(np.float32)
    scores = trajectory_scores(z.astype(np.float64), labels, window, decay)
    write(f"trajectory_{name}", z, labels, epochs=len(z), window=window, decay=decay, scores=scores)


# ---- label errors


def wrong_labels(random):
    # Class 4 has no sample, class 3 a single one.
    n, c = 240, 5
    truth = random.integers(0, 3, n)
    p = softmax(2.2 * np.eye(c)[truth] + random.normal(size=(n, c)))
    labels = np.where(random.random(n) < 0.2, random.integers(0, 3, n), truth)
    labels[0] = 3
    write_errors("random", p, labels)

    x, y = fashion()
    x, y = x[:360], y[:360]
    labels = np.where(random.random(len(y)) < 0.15, random.integers(0, 10, len(y)), y)
    p = cross_val_predict(LogisticRegression(C=0.05), x, labels, cv=5, method="predict_proba")
    write_errors("real", p, labels)


def write_errors(name, p, labels):
    p = p.astype(np.float32)
    exact = p.astype(np.float64)
    with stable_sorting():
        suspected = find_label_issues(labels, exact, filter_by="prune_by_noise_rate", n_jobs=1)
    quality = {
        method: get_label_quality_scores(labels, exact, method=method)
        for method in ("self_confidence", "normalized_margin")
    }
    rows = np.flatnonzero(suspected).tolist()
    write(f"label_errors_{name}", p, labels, suspected=rows, scores=quality)


@contextlib.contextmanager
def stable_sorting():
    """cleanlab rounds counts and ranks margins by an argsort that leaves equals in any order."""
    argsort = np.argsort
    np.argsort = functools.partial(argsort, kind="stable")
    try:
        yield
    finally:
        np.argsort = argsort


# ---- data and files


def fashion():
    """Fashion-MNIST as 24 principal components, and its labels."""
    table = pq.read_table(ROOT / "data" / "fashion_mnist_6k.parquet", columns=["image", "label"])
    images = [Image.open(io.BytesIO(row["bytes"])) for row in table["image"].to_pylist()[:2000]]
    pixels = np.array([np.asarray(image, dtype=np.float64).ravel() / 255 for image in images])
    return PCA(24, random_state=0).fit_transform(pixels), np.array(table["label"])[:2000]


def write(name, values, labels, scores, **more):
    """`values` are f32 and printed so that they read back as the same numbers."""
    document = {
        "classes": values.shape[-1],
        "labels": labels.tolist(),
        "values": [float(str(v)) for v in values.ravel()],
        **{k: [float(str(x)) for x in v] if isinstance(v, np.ndarray) else v for k, v in more.items()},
        "scores": {k: [float(f"{x:.12g}") for x in v] for k, v in scores.items()},
    }
    text = json.dumps(document, separators=(",", ":")).replace('],"', '],\n"')
    path = HERE / f"{name}.json"
    path.write_text(text + "\n")
    print(path.name, len(text))


if __name__ == "__main__":
    main()
