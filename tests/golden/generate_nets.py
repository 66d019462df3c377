"""Writes the files in nets/: what PyTorch, torchvision and timm make of small nets and of single layers
with random weights. All is computed in f64 and stored as f32.

    pip install torch torchvision timm safetensors
    python tests/golden/generate_nets.py

The tests need none of these packages.
"""

import functools
import json
import pathlib

import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

NETS = pathlib.Path(__file__).parent / "nets"
CLASSES = 5
torch.set_default_dtype(torch.float64)


def main():
    net("convnet", Convnet(3, 4, 3), (4, 3, 13, 10), steps=3)
    net("resnet18", ResNet(BasicBlock, [2, 2, 2, 2], 2, "cifar"), (4, 3, 16, 12))
    net("resnet50", ResNet(Bottleneck, [3, 4, 6, 3], 2, "cifar"), (4, 3, 16, 12))
    net("resnet18_imagenet", ResNet(BasicBlock, [2, 2, 2, 2], 2, "imagenet"), (4, 3, 50, 44))
    vit = {"img_size": (8, 12), "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3}
    net("vit", VisionTransformer(num_classes=CLASSES, **vit), (4, 3, 8, 12))
    layers()
    (NETS / "parameter_counts.json").write_text(json.dumps(parameter_counts(), indent=1) + "\n")


# ---- nets


class Convnet(nn.Module):
    """Blocks of 3x3 convolution, batch norm and ReLU; all but the last are pooled."""

    def __init__(self, channels, width, blocks):
        super().__init__()
        self.blocks = nn.ModuleList()
        for i in range(blocks):
            conv = nn.Conv2d(channels, width << i, 3, padding=1, bias=False)
            self.blocks.append(nn.ModuleDict({"conv": conv, "norm": nn.BatchNorm2d(width << i)}))
            channels = width << i
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x):
        for i, block in enumerate(self.blocks):
            x = block["norm"](block["conv"](x)).relu()
            x = F.max_pool2d(x, 2) if i + 1 < len(self.blocks) else x.mean((2, 3))
        return self.head(x)


class ResNet(nn.Module):
    """torchvision's blocks under its names, of any width and either stem."""

    def __init__(self, block, depths, width, stem, classes=CLASSES):
        super().__init__()
        self.stem = stem
        kernel = {"cifar": (3, 1, 1), "imagenet": (7, 2, 3)}[stem]
        self.conv1 = nn.Conv2d(3, width, *kernel, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, depth in enumerate(depths):
            layer = nn.Sequential()
            for i in range(depth):
                planes, stride = width << stage, 2 if stage and not i else 1
                outputs, shortcut = planes * block.expansion, None
                if stride != 1 or inputs != outputs:
                    conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
                    shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
                layer.append(block(inputs, planes, stride, shortcut))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", layer)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def randomise(model):
    """Norms and tokens as if trained: away from where they start."""
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("bn3.weight"):
            tensor.uniform_(0.1, 0.3)  # else gradients grow from block to block, and with them rounding
        elif tensor.dim() < 2 and name.endswith("weight"):
            tensor.uniform_(0.6, 1.4)
        elif tensor.dim() < 2 or name in ("cls_token", "pos_embed"):
            tensor.uniform_(-0.3, 0.3)
        else:
            nn.init.kaiming_uniform_(tensor, nonlinearity="relu")


def net(name, model, shape, steps=0):
    torch.manual_seed(sum(name.encode()))
    randomise(model)
    model.load_state_dict({k: narrow(v) for k, v in model.state_dict().items()})
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, shape[:1])
    x = (pixels.double() / 255 - 0.5) * 4
    found = {"pixels": pixels, "labels": labels} | named("weights", model.state_dict())
    found["logits.clean"] = model.eval()(x)
    logits = model.train()(x)
    F.cross_entropy(logits, labels).backward()
    found["logits.train"] = logits
    found |= named("gradients", {k: v.grad for k, v in model.named_parameters()})
    statistics = {k: v for k, v in model.state_dict().items() if "running" in k}
    found |= named("statistics", statistics)
    if steps:
        found |= named("stepped", stepped(model, x, labels, steps))
    store(name, found)


def stepped(model, x, labels, steps):
    """The state after some steps of SGD from the gradient that is there."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain}]
    sgd = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(steps - 1):
        sgd.step()
        sgd.zero_grad()
        F.cross_entropy(model(x), labels).backward()
    sgd.step()
    return model.state_dict()


# ---- single layers


def layers():
    torch.manual_seed(9)
    found = {}
    for kernel, stride in [(3, 1), (3, 2), (1, 1), (1, 2), (7, 2)]:
        conv = nn.Conv2d(3, 4, kernel, stride, kernel // 2, bias=False)
        found |= layer(f"conv{kernel}s{stride}", conv, (2, 3, 9, 8))
    for kernel in (2, 3):
        found |= layer(f"pool{kernel}", nn.MaxPool2d(kernel, 2, (kernel - 1) // 2), (2, 3, 9, 8))
    found |= layer("batch_norm", nn.BatchNorm2d(3), (4, 3, 5, 4))
    found |= layer("layer_norm", nn.LayerNorm(12, eps=1e-6), (2, 5, 12))
    norm = functools.partial(nn.LayerNorm, eps=1e-6)
    found |= layer("block", Block(12, 3, qkv_bias=True, norm_layer=norm), (2, 5, 12))
    found |= layer("gelu", nn.GELU(), (2, 30))
    store("layers", found)


def layer(name, module, shape):
    """Inputs, outputs, the weights of a sum of the outputs, and the gradients of that sum."""
    randomise(module)
    module.load_state_dict({k: narrow(v) for k, v in module.state_dict().items()})
    x = narrow(torch.randn(shape)).requires_grad_()
    y = module.train()(x)
    along = narrow(torch.randn(y.shape))
    (y * along).sum().backward()
    found = {"x": x, "y": y, "along": along, "dx": x.grad}
    found |= named("weights", dict(module.named_parameters()))
    found |= named("gradients", {k: v.grad for k, v in module.named_parameters()})
    return named(name, found)


# ---- counts


def parameter_counts():
    """How many numbers are trained, with 10 classes; torchvision's and timm's own nets."""
    count = lambda model: sum(p.numel() for p in model.parameters())
    found = {}
    blocks = {"resnet18": BasicBlock, "resnet34": BasicBlock, "resnet50": Bottleneck}
    depths = {"resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3]}
    for name, block in blocks.items():
        theirs = getattr(torchvision.models, name)(num_classes=10)
        ours = ResNet(block, depths[name], 64, "imagenet", 10)
        shapes = lambda model: {k: v.shape for k, v in model.state_dict().items()}
        assert shapes(theirs) == shapes(ours), name
        found[f"{name} imagenet"] = count(theirs)
        found[f"{name} cifar"] = count(ResNet(block, depths[name], 64, "cifar", 10))
    found["vit_tiny"] = count(timm.create_model("vit_tiny_patch16_224", num_classes=10))
    return found


# ---- files


def narrow(tensor):
    return tensor.float().double() if tensor.is_floating_point() else tensor


def named(prefix, tensors):
    """Copies of tensors, as training goes on in place."""
    kept = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    return {f"{prefix}.{k}": v.detach().clone() for k, v in kept.items()}


def store(name, found):
    stored = {k: v.detach().float() if v.is_floating_point() else v.byte() for k, v in found.items()}
    path = NETS / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in stored.items()}, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
