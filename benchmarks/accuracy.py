"""Test accuracies of the built-in models with their own recipes; writes docs/accuracy.md. Run by `make accuracy`."""

import argparse
import pathlib
import statistics

import numpy as np

from plaingrad.cli import doctor_run
from plaingrad.data import Split, digits, load
from plaingrad.errors import PlaingradError
from plaingrad.network.models import Recipe, model
from plaingrad.training.evaluation import score
from plaingrad.training.trainer import train

DOCS = pathlib.Path(__file__).parents[1] / "docs"
SEEDS = (0, 1, 2)


def accuracy(name: str, split: Split, recipe: Recipe, seed: int) -> tuple[float, float]:
    """Test accuracy of a model trained by a recipe, and the seconds it took."""
    chosen = model(name)
    net = chosen.network(split.train.shape, len(split.train.classes), seed)
    history = train(net, split.train, **recipe.settings(), seed=seed)
    return score(net, split.test), sum(entry["seconds"] for entry in history)


def main() -> None:
    """Train each model on each data set it was made for, for several seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="DIR", help="where MNIST's IDX files lie")
    told = parser.parse_args()
    works = [("digits", digits(), "digits, shuffled"), ("digits", digits("file"), "digits, in the file's own order")]
    try:
        mnist = load("mnist", told.mnist)
        works += [(name, mnist, "MNIST") for name in ("mlp", "lenet5", "lenet5-sigmoid", "mnist-cnn")]
    except PlaingradError as error:
        print(f"without MNIST: {error}")
    rows = []
    for name, split, data in works:
        chosen, shape = model(name), split.train.shape
        recipes = {name: chosen.recipe_for(shape)}
        if chosen.best and shape == chosen.input:
            recipes[f"{name}, best recipe"] = chosen.best
        for title, recipe in recipes.items():
            shares, seconds = np.transpose([accuracy(name, split, recipe, seed) for seed in SEEDS])
            each = ", ".join(f"{share:.4f}" for share in shares)
            mean, typical = statistics.mean(shares), statistics.median(seconds)
            rows.append(f"| {data} | {title} | {recipe.epochs} | {each} | {mean:.4f} | {typical:.1f} s |")
            print(rows[-1], flush=True)
    text = (
        "# Accuracy\n\nTest accuracy of each built-in model with its recipe, and with its best one if that is another, "
        f"for the seeds {', '.join(map(str, SEEDS))}; the time is one training's on "
        f"{doctor_run.processor()}, {doctor_run.vectors()}. "
        "Written by `make accuracy`.\n\n"
        "The 8×8 digits are split by one seeded shuffle, 1,437 for training and 360 for testing. In the file's own "
        "order the last images come from writers that the first do not: that split asks for more, and gets less.\n\n"
        "| data | model | epochs | test accuracy, a seed each | mean | time |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )
    (DOCS / "accuracy.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
