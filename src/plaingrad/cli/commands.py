"""What the commands do: a run from options to report, and the questions one asks of a finished run."""

import pathlib
import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from plaingrad.cli.data_read import READING, held_back, kept_name, read, reading_of
from plaingrad.data import Split
from plaingrad.data.dataset import generator
from plaingrad.errors import MissingError, SettingError, ShapeError, nearest, visible
from plaingrad.network.files import build
from plaingrad.network.models import Recipe
from plaingrad.network.network import Network
from plaingrad.textbook.losses import Loss, SoftmaxCrossEntropy, WeightedCrossEntropy
from plaingrad.textbook.optimisers import Optimiser
from plaingrad.training import checkpoint
from plaingrad.training.evaluation import judged, output_names
from plaingrad.training.inference import probabilities
from plaingrad.training.launched import current
from plaingrad.training.preparing import OPTIMISERS, named, schedule_from_text
from plaingrad.training.rates.finder import RateTest, find_rate
from plaingrad.training.report import write_report
from plaingrad.training.run_folder import (
    BEST,
    CHECKPOINT,
    HISTORY,
    IMAGES,
    find,
    keep_images,
    locked,
    require_free,
    saved,
)
from plaingrad.training.saved_facts import checked
from plaingrad.training.trainer import Trainer

KEPT_BY_RESUME = {"threads", "data_dir"}


@dataclass
class Training:
    """A training run with the data it belongs to."""

    trainer: Trainer
    split: Split
    about: dict[str, Any]

    def headline(self) -> str:
        """What is about to be trained, on what, and how."""
        trainer, held = self.trainer, self.trainer.validation
        images = [f"{len(trainer.data):,} training"]
        images += [f"{len(held):,} validation"] if held else []
        images += [f"{len(self.split.test):,} test images"]
        done = f", {trainer.position.step:,} steps done" if trainer.position.step else ""
        return (
            f"{visible(trainer.net.name)} on {visible(self.split.name)}: {', '.join(images)}; "
            f"{trainer.epochs} epochs of {trainer.per_epoch} steps{done}; "
            f"{', '.join([trainer.optimiser.in_full(), str(trainer.schedule), *map('='.join, self.besides().items())])}"
        )

    def besides(self) -> dict[str, str]:
        """What a training does only where it is asked to, by the name of its setting."""
        told = {name: getattr(self.trainer, name) for name in ("augment", "clip", "average")}
        return {name: str(value) for name, value in told.items() if value is not None}


class Material(NamedTuple):
    """What a training begins with: a network, its recipe, data, the seed, and what is said of them in a checkpoint."""

    net: Network
    recipe: Recipe
    split: Split
    seed: int
    about: dict[str, Any]


def material(told: dict[str, Any]) -> Material:
    """Network and data as the options tell."""
    data_name, data_dir = told.get("data_name", "digits"), told.get("data_dir")
    dtype = _pick("dtype", told.get("dtype", "float32"), ("float32", "float64"))
    reading = {name: told[name] for name in READING if name in told}
    split = read(data_name, data_dir, reading)
    seed, classes = told.get("seed", 0), len(split.train.classes)
    generator(seed)  # says at once what is wrong with a seed
    try:
        net, recipe = build(told.get("model_name"), split.train.shape, classes, seed, dtype, told.get("best", False))
    except ShapeError as error:
        if "data_name" in told:
            raise
        raise ShapeError(
            f"{error}. The data are the bundled 8×8 digits; for this model name others with --data"
        ) from None
    about = {
        "model": net.name,
        "data": kept_name(data_name),
        "data_dir": str(pathlib.Path(data_dir).resolve()) if data_dir else None,
        "validation": told.get("validation"),
        **reading,
    }
    return Material(net, recipe, split, seed, about)


def how(told: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The settings of each step, as `Trainer` takes them: those that are told, else the recipe's."""
    return {
        "optimiser": chosen_optimiser(told.get("optimiser") or recipe.optimiser, told.get("rate")),
        "batch": told.get("batch", recipe.batch),
        "augment": told.get("augment", recipe.augment),
        "clip": told.get("clip"),
        "threads": told.get("threads"),
    }


def prepare(options: dict[str, Any]) -> Training:
    """A new run from the options of `plaingrad train`; None means that an option was not given."""
    told = {name: value for name, value in options.items() if value is not None}
    out = told.get("out")
    if out is not None and current().is_first:
        with locked(pathlib.Path(out)):
            require_free(pathlib.Path(out))
    net, recipe, split, seed, about = material(told)
    train, validation = held_back(split, told.get("validation"), seed)
    if "patience" in told and validation is None:
        raise SettingError("--patience needs validation images; add --validation 0.1, for example")
    recipe = recipe.fitted(len(train))
    trainer = Trainer(
        net,
        train,
        **how(told, recipe),
        epochs=told.get("epochs", recipe.epochs),
        schedule=schedule_from_text(told["schedule"], "--schedule got ") if "schedule" in told else recipe.schedule,
        loss=chosen_loss(told, net),
        validation=validation,
        patience=told.get("patience"),
        average=told.get("average"),
        seed=seed,
        out=out or _free_folder(f"{net.name}-{pathlib.Path(split.name).name}"),
        about=about,
    )
    return Training(trainer, split, about)


def tested_rates(options: dict[str, Any]) -> RateTest:
    """The range test that the options of `plaingrad find-rate` ask for; None means that one was not given."""
    told = {name: value for name, value in options.items() if value is not None}
    net, recipe, split, seed, _ = material(told)
    given = {name: told[name] for name in ("lowest", "highest", "steps") if name in told}
    own = how(told, recipe.fitted(len(split.train)))
    return find_rate(net, split.train, **own, **given, loss=chosen_loss(told, net), seed=seed)


def take_up(run: str, options: dict[str, Any]) -> Training:
    """A run that was stopped, standing where it was saved."""
    told = {name: value for name, value in options.items() if value is not None}
    if unwanted := [f"--{name.removesuffix('_name').replace('_', '-')}" for name in told if name not in KEPT_BY_RESUME]:
        raise SettingError(f"--resume goes on with the run's own settings; leave out {', '.join(unwanted)}")
    path = find(pathlib.Path(run), CHECKPOINT)
    facts = checked(checkpoint.load(path)[2], path)
    about, settings = facts.get("about", {}), facts.get("training", {})
    if "data" not in about or not settings:
        raise SettingError(f"{run} was not made by `plaingrad train`, which alone can resume it; use Trainer.resume")
    split = read(about["data"], told.get("data_dir") or about.get("data_dir"), reading_of(about))
    train, validation = held_back(split, about.get("validation"), settings["seed"])
    trainer = Trainer.resume(run, train, validation=validation, threads=told.get("threads"))
    return Training(trainer, split, about)


def finish(training: Training, report: bool = True) -> dict[str, Any]:
    """Test the trained network, write the report if wanted, and say all of it as `plaingrad train --json` does."""
    trainer, test = training.trainer, training.split.test
    assert trainer.out is not None
    net = trainer.net  # as it was at its best epoch, where there were validation images to say which
    found, outputs = judged(net, test, trainer.loss, trainer.threads)
    history = trainer.position.history
    seconds = sum(entry["seconds"] for entry in history)
    keep_images(trainer.out, test)
    result = {
        "model": training.about["model"],
        "data": training.about["data"],
        "parameters": net.size,
        "epochs": len(history),
        "seconds": round(seconds, 3),
        "compile_seconds": round(trainer.compile_seconds, 3),
        "images_per_second": round(len(history) * len(trainer.data) / max(seconds, 1e-9), 1),
        "test_accuracy": found.accuracy,
        "test_loss": found.loss,
        "out": str(trainer.out),
        "seed": trainer.seed,
        "batch": trainer.batch,
        "dtype": net.dtype.name,
    }
    if trainer.validation is not None:
        result |= {"best_epoch": trainer.position.best_epoch, "validation_images": len(trainer.validation)}
    notes, files = [], [CHECKPOINT, HISTORY, IMAGES, *([BEST] if (trainer.out / BEST).exists() else [])]
    guessed = test.counts.max() / len(test)
    lines = [line for entry in history for line in entry.get("findings", ())]
    if found.accuracy <= guessed and not lines:
        notes.append(
            f"that is no better than always predicting the most frequent class ({guessed:.4f}): "
            "try a smaller --rate, more --epochs, or another --model"
        )
    if not report:
        return result | {"files": files, "notes": notes}
    facts = {
        key.replace("_", " "): value
        for key, value in result.items()
        if key not in ("compile_seconds", "test_loss", "test_accuracy")
    }
    if lines:
        facts["found"] = "; ".join(lines)
    recipe = {name: getattr(trainer, name).in_full() for name in ("optimiser", "schedule", "loss")}
    recipe |= training.besides()
    named = replace(test, classes=output_names(test.classes, net), name=training.split.name)
    try:
        write_report(
            trainer.out / "report.html", net, named, probabilities(outputs, trainer.loss), history, facts | recipe
        )
        files.append("report.html")
    except MissingError as error:
        notes.append(f"no report.html: {error}")
    return result | {"files": files, "notes": notes}


def told_of(facts: dict[str, Any]) -> tuple[dict[str, Any], Loss]:
    """What a checkpoint says of its data, and the loss it was trained with."""
    training = facts.get("training", {})
    return facts.get("about", {}), Loss.from_json(training["loss"]) if training else SoftmaxCrossEntropy()


def opened(run: str) -> tuple[Network, dict[str, Any], Loss]:
    """A trained network, what is said of its data, and its loss."""
    net, _, facts = saved(run)
    return net, *told_of(facts)


def chosen_optimiser(name: str | Optimiser, rate: float | None = None) -> Optimiser:
    """An optimiser by name, at another rate where one is told."""
    chosen = OPTIMISERS[_pick("optimiser", name, OPTIMISERS)] if isinstance(name, str) else name
    return chosen if rate is None else chosen.replace(rate=rate)


def chosen_loss(told: dict[str, Any], net: Network) -> Loss | None:
    """The loss that --loss names, or the weighted one where its settings are told; None for the network's own."""
    settings = {name: told[name] for name in ("class_weights", "label_smoothing") if name in told}
    loss: Loss | None = named("loss", told.get("loss"), net)
    if not settings:
        return loss
    if not (loss is None or isinstance(loss, SoftmaxCrossEntropy)):
        given = " and ".join(f"--{name.replace('_', '-')}" for name in settings)
        raise SettingError(f"--loss {told['loss']} has no {given}; take --loss softmax-cross-entropy, or leave it out")
    if "class_weights" in settings:
        try:
            settings["class_weights"] = tuple(float(each) for each in told["class_weights"].split(","))
        except ValueError:
            got = f"--class-weights got {told['class_weights']!r}"
            raise SettingError(f"{got}; it needs a number for each class, such as 1,1,2.5") from None
    return WeightedCrossEntropy(**settings)


def _pick(what: str, name: str, known: Any) -> str:
    if name not in known:
        raise SettingError(f"--{what} got {name!r}; {nearest(name, known)}")
    return name


def _free_folder(name: str) -> str:
    """`runs/NAME`, or with the next number where it is taken."""
    name = re.sub(r"[^\w.+-]", "_", name).lstrip(".")[:100]  # it may come from a file
    places = (pathlib.Path("runs") / (name if number == 1 else f"{name}-{number}") for number in range(1, 10**6))
    return str(next(place for place in places if not place.exists()))
