"""LeNet-5 on MNIST in PyTorch, the shortest honest way: no loader, images in memory, one index a batch."""

import argparse
import gzip
import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", type=pathlib.Path, required=True)
for name in ("threads", "seed", "epochs", "batch"):
    parser.add_argument(f"--{name}", type=int, required=True)
for name in ("rate", "momentum", "decay", "warmup", "first", "last"):
    parser.add_argument(f"--{name}", type=float, required=True)
told = parser.parse_args()
torch.set_num_threads(told.threads)
torch.manual_seed(told.seed)


def read(stem: str, header: int) -> np.ndarray:
    """The bytes behind the header of an IDX file."""
    return np.frombuffer(gzip.decompress((told.data_dir / f"{stem}-ubyte.gz").read_bytes()), np.uint8, offset=header)


def load(stem: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (image, 1, row, column) from 0 to 1, and labels."""
    images = torch.from_numpy(read(f"{stem}-images-idx3", 16).reshape(-1, 1, 28, 28) / np.float32(255))
    return images, torch.from_numpy(read(f"{stem}-labels-idx1", 8).astype(np.int64))


def fall(progress: float) -> float:
    """Half a cosine from 1 to 0."""
    return (1 + math.cos(math.pi * progress)) / 2


images, labels = load("train")
mean, spread = images.mean(), images.std(correction=0)
images.sub_(mean).div_(spread)
net = nn.Sequential(
    *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    *(nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
)
for each in net:
    if isinstance(each, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(each.weight)
        nn.init.zeros_(each.bias)
net = net.to(memory_format=torch.channels_last)
loss = nn.CrossEntropyLoss()
optimiser = torch.optim.SGD(net.parameters(), told.rate, told.momentum, weight_decay=told.decay, fused=True)
per_epoch = -(-len(images) // told.batch)
end = told.epochs * per_epoch - 1
top = told.warmup * end
for epoch in range(told.epochs):
    for number, chosen in enumerate(torch.randperm(len(images)).split(told.batch), epoch * per_epoch):
        if number < top:
            factor = told.first + (1 - told.first) * fall(1 - number / top)
        else:
            factor = told.last + (1 - told.last) * fall((number - top) / (end - top))
        optimiser.param_groups[0]["lr"] = told.rate * factor
        optimiser.zero_grad()
        loss(net(images[chosen]), labels[chosen]).backward()
        optimiser.step()

tested, truth = load("t10k")
with torch.inference_mode():
    named = torch.cat([net((part - mean) / spread).argmax(1) for part in tested.split(1000)])
print(json.dumps({"test_accuracy": (named == truth).double().mean().item(), "images": len(images)}))
