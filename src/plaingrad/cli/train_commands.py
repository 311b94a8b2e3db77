"""The subcommands that train: `train` and `find-rate`."""

from functools import partial
from typing import Any

import click

from plaingrad.cli.check_commands import FORCE, JSON
from plaingrad.cli.terminal import patience, say
from plaingrad.errors import visible
from plaingrad.textbook.record import json_text

MODEL = click.option(
    "--model", "model_name", metavar="NAME|FILE", help="A built-in network (see `plaingrad models`) or a JSON file."
)
DATA = click.option("--data", "data_name", metavar="NAME|PATH", help="digits, mnist, fashion-mnist, cifar10; a CSV, NPZ, MAT or CIFAR file; or a folder of such, or of images with one sub-folder for each class.  [digits]")  # fmt: skip  # noqa: E501
BATCH = click.option("--batch", type=int, metavar="N", help="Images per step of the optimiser.  [the model's]")
OPTIMISER = click.option(
    "--optimiser", metavar="NAME", help="sgd (with momentum), nesterov, adam or adamw.  [the model's]"
)
AUGMENT = click.option("--augment", metavar="LIST", help="Change training images at random: shift=4 by up to so many pixels, flip left to right, cutout=8 a black square; as shift=4,flip; or none.  [the model's]")  # fmt: skip  # noqa: E501
CLIP = click.option("--clip", type=float, metavar="NORM", help="Scale a gradient down whose norm is larger.  [off]")
LOSS = click.option("--loss", metavar="NAME", help="softmax-cross-entropy, cross-entropy, mse or half-squared-error.  [cross-entropy, as the last layer needs it]")  # fmt: skip  # noqa: E501
CLASS_WEIGHTS = click.option("--class-weights", metavar="W,W,…", help="A weight for each class in the cross-entropy, in their order: more than 1 for a class that is rare.")  # fmt: skip  # noqa: E501
LABEL_SMOOTHING = click.option("--label-smoothing", type=float, metavar="SHARE", help="Spread this share of each target, such as 0.1, over all classes.")  # fmt: skip  # noqa: E501
DTYPE = click.option("--dtype", metavar="TYPE", help="float32 or float64.  [float32]")
DATA_DIR = click.option("--data-dir", metavar="DIR", help="Folder with the files of mnist, fashion-mnist or cifar10.")
LABEL = click.option("--label", metavar="COLUMN", help="Labels of a CSV file: first, last, none, or a heading; of CIFAR-100: fine or coarse.  [found out]")  # fmt: skip  # noqa: E501
SHAPE = click.option("--shape", metavar="SIZES", help="Shape of an image, where a file does not tell: 28x28, 3x32x32, or 32x32x3 for channels last. Images in folders are resized to it.")  # fmt: skip  # noqa: E501
THREADS = click.option("--threads", type=int, metavar="T", help="Number of threads.  [one per processor]")


@click.command()
@MODEL
@DATA
@DATA_DIR
@LABEL
@SHAPE
@click.option("--best", is_flag=True, default=None, help="Train by the model's best recipe, which takes longer: `plaingrad models NAME` shows it.")  # fmt: skip  # noqa: E501
@click.option("--epochs", type=int, metavar="N", help="Number of passes through the training images.  [the model's]")
@BATCH
@OPTIMISER
@click.option("--rate", type=float, metavar="R", help="Learning rate.  [the model's]")
@click.option("--schedule", metavar="LIST", help="Rate schedule: constant, step, linear, cosine, onecycle; after warmup or hold another, as warmup+cosine; with settings, as step,every=2,factor=0.1.  [the model's]")  # fmt: skip  # noqa: E501
@AUGMENT
@CLIP
@click.option("--average", type=float, metavar="SHARE", help="Average the weights over the steps; this share of the average, such as 0.999, stays at each. The averaged weights are tested and kept.  [off]")  # fmt: skip  # noqa: E501
@LOSS
@CLASS_WEIGHTS
@LABEL_SMOOTHING
@click.option("--validation", type=float, metavar="SHARE", help="Hold back this fraction of the training images for validation; the weights of the epoch with the best validation accuracy are kept.")  # fmt: skip  # noqa: E501
@click.option("--patience", type=int, metavar="N", help="Stop after N epochs without better validation accuracy.")
@click.option("--seed", type=int, metavar="S", help="Random seed; the same seed gives the same result, bit for bit, with any number of threads and of processes.  [0]")  # fmt: skip  # noqa: E501
@THREADS
@DTYPE
@click.option("--out", metavar="RUN", help="Folder to create for this run.  [runs/MODEL-DATA]")
@click.option("--resume", metavar="RUN", help="Resume a run that was stopped, with its own settings.")
@click.option("--no-report", is_flag=True, help="Do not write report.html, which takes a fraction of a second.")
@JSON
def train(as_json: bool, resume: str | None, no_report: bool, **options: Any) -> None:
    """Train a network and write a run folder.

    The run folder holds a checkpoint, the history, and report.html with pictures.

    \b
    Examples:
      plaingrad train
      plaingrad train --model lenet5 --data mnist --epochs 5
      mpirun -n 4 plaingrad train --batch 256         four processes, on one machine or several
      plaingrad train --data photos/ --validation 0.2 --patience 3
      plaingrad train --resume runs/lenet5-mnist      after Ctrl-C, a crash, or a power cut

    Ctrl-C finishes the current step and saves. An existing run is never overwritten.
    """
    from plaingrad.cli.commands import finish, prepare, take_up
    from plaingrad.cli.progress import progress
    from plaingrad.training.report.pictures import run_for_maps

    training = prepare(options) if resume is None else take_up(resume, options)
    if not training.trainer.ranks.is_first:  # the first one shows and writes
        training.trainer.train()
        return
    if training.trainer.position.done:
        say(f"{visible(resume)} is finished; to train for longer, start a new run with more --epochs", err=True)
    else:
        if not no_report:
            training.trainer.afterwards.append(partial(run_for_maps, training.trainer.net))
        with progress(training.headline()) as training.trainer.watch:
            training.trainer.train()
    result = finish(training, report=not no_report)
    for note in result.pop("notes"):
        say(note, err=True)
    if as_json:
        say(json_text(result))
        return
    images = len(training.split.test)
    if "best_epoch" in result:
        say(f"epoch {result['best_epoch']} was the best on the validation images; its weights were tested and kept")
    say(
        f"test accuracy {result['test_accuracy']:.4f} ({round(result['test_accuracy'] * images)} of {images} images), "
        f"loss {result['test_loss']:.4f}"
    )
    say(
        f"{result['parameters']:,} parameters, {result['epochs']} epochs in {result['seconds']:.2f} s "
        f"({result['images_per_second']:,.0f} images/s), code loaded or compiled in {result['compile_seconds']:.1f} s"
    )
    say(f"written to {visible(result['out'])}: {', '.join(result['files'])}")


@click.command("find-rate")
@MODEL
@DATA
@DATA_DIR
@LABEL
@SHAPE
@click.option("--lowest", type=float, metavar="R", help="Rate of the first step.  [1e-06]")
@click.option("--highest", type=float, metavar="R", help="Rate of the last step.  [10]")
@click.option("--steps", type=int, metavar="N", help="Number of steps, each at a rate of its own.  [100]")
@BATCH
@OPTIMISER
@AUGMENT
@CLIP
@LOSS
@CLASS_WEIGHTS
@LABEL_SMOOTHING
@click.option("--seed", type=int, metavar="S", help="Random seed of the network and the batches.  [0]")
@THREADS
@DTYPE
@click.option("--html", "page", metavar="FILE", help="Write a page with the plot and all numbers.")
@FORCE
@JSON
def find_rate(page: str | None, force: bool, as_json: bool, **options: Any) -> None:
    """Suggest a learning rate: the learning rate range test.

    The network takes a step at each of many rates, from the lowest to the highest, and the loss is plotted over them.
    Suggested is a tenth of the rate at which the smoothed loss was lowest. Nothing is written but the page.

    \b
    Examples:
      plaingrad find-rate
      plaingrad find-rate --model lenet5 --data mnist --optimiser adam --html rates.html
      plaingrad train --model lenet5 --data mnist --optimiser adam --rate 0.002
    """
    from plaingrad.cli.commands import tested_rates
    from plaingrad.training.checkpoint import page_file
    from plaingrad.training.report.page import require_jinja
    from plaingrad.training.run_folder import require_new

    require_new(page, force)
    if page is not None:  # what cannot be written is told before the work
        page_file(page, "rates.html")
        require_jinja("the page of a range test")
    with patience("working: code for a network is compiled the first time, then kept"):
        found = tested_rates(options)
    if page is not None:
        found.save(page)
    say(json_text(found.to_json()) if as_json else str(found))
    if page is not None and not as_json:
        say(f"written to {visible(page)}")
