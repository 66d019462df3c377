"""PyTorch's side of benches/training, which starts it: NET MODE LAYOUT BATCHES, or scores numpy|torch.

Works off BATCHES batches, or all logits, for each line on its standard input, after one for warming up, and
answers with how many images or bytes that were and the seconds they took.
"""

import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def unit(inputs, outputs, kernel, stride):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first, self.second = unit(inputs, outputs, 3, stride), unit(outputs, outputs, 3, 1)
        self.shortcut = unit(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x), inplace=True)) + self.shortcut(x), inplace=True)


def built(name):
    relu, head = nn.ReLU(inplace=True), [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if name == "mlp":
        layers = [nn.Linear(3072, 512), relu, nn.Linear(512, 512), relu, nn.Linear(512, 10)]
        return nn.Sequential(nn.Flatten(), *layers)
    if name == "convnet":
        pool = nn.MaxPool2d(2)
        units = [unit(3, 16, 3, 1), relu, pool, unit(16, 32, 3, 1), relu, pool, unit(32, 64, 3, 1), relu]
        return nn.Sequential(*units, *head, nn.Linear(64, 10))
    width = int(name.split("-")[1])
    blocks, inputs = [], width
    for stage in range(4):
        for block in range(2):
            outputs = width << stage
            blocks.append(Block(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(unit(3, width, 3, 1), relu, *blocks, *head, nn.Linear(inputs, 10))


def numpy_scores(z, labels):
    """A thousand rows at a time, which stay in the cache."""
    for at in range(0, len(z), 1000):
        part, rows = z[at : at + 1000], np.arange(min(1000, len(z) - at))
        e = np.exp(part - part.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        entropy = -(p * np.log(np.maximum(p, 1e-38))).sum(1)
        second, first = np.partition(p, -2, axis=1)[:, -2:].T
        p[rows, labels[at : at + 1000]] -= 1
        yield entropy, first - second, 1 - first, np.sqrt((p * p).sum(1))


def torch_scores(z, labels):
    for at in range(0, len(z), 1000):
        log_p = torch.log_softmax(z[at : at + 1000], 1)
        p = log_p.exp()
        top = p.topk(2, 1).values
        rows = torch.arange(len(p))
        entropy = -(p * log_p).sum(1)
        p[rows, labels[at : at + 1000]] -= 1
        yield entropy, top[:, 0] - top[:, 1], 1 - top[:, 0], p.norm(dim=1)


def scores(kind):
    """200,000 x 1,000 logits."""
    random = np.random.default_rng(2)
    z = np.resize(random.uniform(-6, 6, 1_000_003).astype(np.float32), (200_000, 1000))
    labels = np.arange(len(z)) % 1000
    take = numpy_scores
    if kind == "torch":
        z, labels, take = torch.from_numpy(z), torch.from_numpy(labels), torch_scores

    def work():
        for _ in take(z, labels):
            pass

    answer(z.nbytes, work)


def answer(amount, work):
    work()
    print("ready", flush=True)
    while sys.stdin.readline():
        begun = time.monotonic()
        work()
        print(f"{amount} {time.monotonic() - begun}", flush=True)


def main():
    if sys.argv[1] == "scores":
        return scores(sys.argv[2])
    name, mode, layout, batches = sys.argv[1:]
    batches, training = int(batches), mode == "train"
    count = 128 if training else 256
    torch.manual_seed(0)
    net = built(name).train(training)
    x = torch.randn(count, 3, 32, 32)
    if layout == "channels_last":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (count,))
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def work():
        for _ in range(batches):
            if training:
                sgd.zero_grad()
                F.cross_entropy(net(x), labels).backward()
                sgd.step()
            else:
                with torch.inference_mode():
                    net(x)

    answer(batches * count, work)


if __name__ == "__main__":
    main()
