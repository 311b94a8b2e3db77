"""`resnet8` on CIFAR-10 beside an equal PyTorch network: accuracies of some seeds, and the time of a step as a ratio.

`make cifar CIFAR=DIR`, where DIR holds `data_batch_1.bin` … and `test_batch.bin`, gzipped or not. Writes docs/cifar.md.
Equal: layers, start of weights, batches, schedule, momentum, decay, augmentation, files. Not equal: PyTorch normalises
over the whole batch, plaingrad over shards of 32 images, and the two draw other numbers.
"""

import argparse
import pathlib
import statistics
import time
from typing import Any

import numpy as np

from plaingrad.cli import doctor_run
from plaingrad.data import Dataset, Split, load
from plaingrad.network.models import Recipe, model
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD
from plaingrad.training.evaluation import score
from plaingrad.training.preparing import standardise
from plaingrad.training.shards import Shards
from plaingrad.training.trainer import train

DOCS = pathlib.Path(__file__).parents[1] / "docs"
ROUNDS = 9


def ours(split: Split, recipe: Recipe, seed: int, threads: int | None) -> float:
    """Test accuracy of `resnet8` as `plaingrad train` trains it."""
    net = model("resnet8").network(seed=seed)
    train(net, split.train, **recipe.settings(), seed=seed, threads=threads)
    return score(net, split.test)


def twin(torch: Any) -> Any:
    """The same network in PyTorch."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, inputs: int, filters: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
            self.stride, self.missing = stride, filters - inputs

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
            skip = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))
            return torch.relu(y + skip)

    net = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return net.to(memory_format=torch.channels_last)


def scaled(torch: Any, data: Dataset, about: Dataset) -> Any:
    """Images as PyTorch takes them: minus the mean of each channel, divided by its deviation."""
    pixels = about.images.astype(np.float32) / 255
    mean, deviation = pixels.mean((0, 2, 3), keepdims=True), pixels.std((0, 2, 3), keepdims=True)
    return torch.tensor((data.images.astype(np.float32) / 255 - mean) / deviation), -mean / deviation


def augmented(torch: Any, images: Any, black: Any, rng: np.random.Generator, shift: int, flip: bool) -> Any:
    """Each image moved by up to `shift` pixels each way, black coming in, and every second one mirrored."""
    side, count = images.shape[-1], len(images)
    wide = torch.tensor(np.broadcast_to(black, (count, 3, side + 2 * shift, side + 2 * shift)).copy())
    wide[:, :, shift : shift + side, shift : shift + side] = images
    places = torch.tensor(rng.integers(0, 2 * shift + 1, (2, count)))
    rows = places[0][:, None, None, None] + torch.arange(side)[None, None, :, None]
    columns = torch.arange(side)[None, None, None, :].repeat(count, 1, 1, 1)
    mirrored = torch.tensor(rng.random(count) < 0.5) if flip else torch.zeros(count, dtype=torch.bool)
    columns[mirrored] = columns[mirrored].flip(-1)
    columns = places[1][:, None, None, None] + columns
    at = torch.arange(count)[:, None, None, None], torch.arange(3)[None, :, None, None]
    return wide[(*at, rows, columns)]


def theirs(split: Split, recipe: Recipe, seed: int, threads: int | None) -> float:
    """Test accuracy of PyTorch's network, trained by the same recipe."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), twin(torch)
    optimiser = recipe.optimiser
    assert isinstance(optimiser, SGD)
    how = {"momentum": optimiser.momentum, "weight_decay": optimiser.decay, "nesterov": optimiser.nesterov}
    step_of = torch.optim.SGD(net.parameters(), lr=optimiser.rate, **how)
    (images, black), (tests, _) = (scaled(torch, each, split.train) for each in split)
    labels, per_epoch = torch.tensor(split.train.labels), -(-len(split.train) // recipe.batch)
    augment = getattr(recipe, "augment", None)
    for epoch in range(recipe.epochs):
        order = rng.permutation(len(images))
        for number in range(per_epoch):
            index = torch.tensor(order[number * recipe.batch : (number + 1) * recipe.batch])
            factor = recipe.schedule(epoch * per_epoch + number, recipe.epochs * per_epoch, per_epoch)
            for group in step_of.param_groups:
                group["lr"] = optimiser.rate * factor
            batch = images[index]
            if augment is not None:
                batch = augmented(torch, batch, black, rng, augment.shift, augment.flip)
            step_of.zero_grad()
            scores = net(batch.contiguous(memory_format=torch.channels_last))
            torch.nn.functional.cross_entropy(scores, labels[index]).backward()
            step_of.step()
    net.eval()
    with torch.no_grad():
        return float((net(tests).argmax(1).numpy() == split.test.labels).mean())


def ratio(split: Split, recipe: Recipe, threads: int) -> tuple[float, float]:
    """Median seconds of a step, ours and PyTorch's better memory layout, in rounds that alternate."""
    import torch

    torch.set_num_threads(threads)
    few = split.train.take(range(recipe.batch))
    net, index = model("resnet8").network(), np.arange(recipe.batch)
    standardise(net, few.images)
    inputs, labels = scaled(torch, few, few)[0], torch.tensor(few.labels)
    peers = []
    for layout in (torch.contiguous_format, torch.channels_last):
        peer = twin(torch).to(memory_format=layout)
        peers.append((peer, torch.optim.SGD(peer.parameters(), lr=0.01, momentum=0.9), inputs.to(memory_format=layout)))

    def step(peer: Any, optimiser: Any, images: Any) -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(peer(images), labels).backward()
        optimiser.step()

    times: list[list[float]] = [[], [], []]
    with Shards(net, SoftmaxCrossEntropy(), recipe.batch, threads) as shards:
        works = [lambda: shards.step(few.images, few.labels, index), *(lambda each=each: step(*each) for each in peers)]
        for number in range(ROUNDS + 2):
            for work, found in zip(works, times, strict=True):
                began = time.perf_counter()
                work()
                if number >= 2:  # the first ones compile
                    found.append(time.perf_counter() - began)
    own, *other = map(statistics.median, times)
    return own, min(other)


def main() -> None:
    """Train both for some seeds, and time a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where CIFAR-10's binary files lie")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of a training; as many as there are processors if not given")
    parser.add_argument("--only", choices=["ours", "theirs", "ratio"])
    told = parser.parse_args()
    split, recipe = load(told.folder), model("resnet8").recipe
    rows = []
    for name, run in (("plaingrad", ours), ("PyTorch", theirs)):
        if told.only in (None, {"plaingrad": "ours", "PyTorch": "theirs"}[name]):
            shares = []
            for seed in range(told.seeds):
                shares.append(run(split, recipe, seed, told.threads))
                print(f"{name}, seed {seed}: {shares[-1]:.4f}", flush=True)
            each = ", ".join(f"{share:.4f}" for share in shares)
            rows.append(f"| {name} | {each} | {statistics.mean(shares):.4f} |")
            print(rows[-1], flush=True)
    times = [(threads, *ratio(split, recipe, threads)) for threads in (2, 1)] if told.only in (None, "ratio") else []
    for threads, own, other in times:
        print(f"a step with {threads} threads: {1000 * own:.0f} ms, PyTorch {1000 * other:.0f} ms: {other / own:.2f}")
    if told.only is None:
        write(rows, times, split, recipe)


def write(rows: list[str], times: list[tuple[int, float, float]], split: Split, recipe: Recipe) -> None:
    """The page docs/cifar.md."""
    steps = "\n".join(f"| {threads} | {other / own:.2f} |" for threads, own, other in times)
    text = (
        f"# CIFAR-10\n\n`resnet8` with its recipe ({recipe.epochs} epochs) on {len(split.train):,} training and "
        f"{len(split.test):,} test images of CIFAR-10, beside an equal network in PyTorch. Written by `make cifar`.\n\n"
        "| | test accuracy, a seed each | mean |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n| threads | PyTorch's time of a step / plaingrad's |\n|---|---|\n"
        + steps
        + f"\n\nOf a batch of {recipe.batch}, on {doctor_run.processor()}, {doctor_run.vectors()}.\n"
    )
    (DOCS / "cifar.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
