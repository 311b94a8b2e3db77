"""The subcommands that train: `train`."""

from typing import Any

import click

from plaingrad.cli.check_commands import JSON
from plaingrad.cli.terminal import say
from plaingrad.errors import visible
from plaingrad.textbook.record import json_text

DATA_DIR = click.option("--data-dir", metavar="DIR", help="Folder with the files of mnist, fashion-mnist or cifar10.")
LABEL = click.option("--label", metavar="COLUMN", help="Labels of a CSV file: first, last, none, or a heading; of CIFAR-100: fine or coarse.  [found out]")  # fmt: skip  # noqa: E501
SHAPE = click.option("--shape", metavar="SIZES", help="Shape of an image, where a file does not tell: 28x28, 3x32x32, or 32x32x3 for channels last. Images in folders are resized to it.")  # fmt: skip  # noqa: E501
THREADS = click.option("--threads", type=int, metavar="T", help="Number of threads.  [one per processor]")


@click.command()
@click.option(
    "--model", "model_name", metavar="NAME|FILE", help="A built-in network (see `plaingrad models`) or a JSON file."
)
@click.option("--data", "data_name", metavar="NAME|PATH", help="digits, mnist, fashion-mnist, cifar10; a CSV, NPZ, MAT or CIFAR file; or a folder of such, or of images with one sub-folder for each class.  [digits]")  # fmt: skip  # noqa: E501
@DATA_DIR
@LABEL
@SHAPE
@click.option("--epochs", type=int, metavar="N", help="Number of passes through the training images.  [the model's]")
@click.option("--batch", type=int, metavar="N", help="Images per step of the optimiser.  [the model's]")
@click.option("--optimiser", metavar="NAME", help="sgd (with momentum), nesterov, adam or adamw.  [the model's]")
@click.option("--rate", type=float, metavar="R", help="Learning rate.  [the model's]")
@click.option("--schedule", metavar="LIST", help="Rate schedule: constant, step, linear, cosine, onecycle; after warmup or hold another, as warmup+cosine; with settings, as step,every=2,factor=0.1.  [the model's]")  # fmt: skip  # noqa: E501
@click.option("--augment", metavar="LIST", help="Change training images at random: shift=4 by up to so many pixels, flip left to right, cutout=8 a black square; as shift=4,flip; or none.  [the model's]")  # fmt: skip  # noqa: E501
@click.option("--clip", type=float, metavar="NORM", help="Scale a gradient down whose norm is larger.  [off]")
@click.option("--average", type=float, metavar="SHARE", help="Average the weights over the steps; this share of the average, such as 0.999, stays at each. The averaged weights are tested and kept.  [off]")  # fmt: skip  # noqa: E501
@click.option("--validation", type=float, metavar="SHARE", help="Hold back this fraction of the training images for validation; the weights of the epoch with the best validation accuracy are kept.")  # fmt: skip  # noqa: E501
@click.option("--patience", type=int, metavar="N", help="Stop after N epochs without better validation accuracy.")
@click.option("--seed", type=int, metavar="S", help="Random seed; the same seed gives the same result, bit for bit, with any number of threads.  [0]")  # fmt: skip  # noqa: E501
@THREADS
@click.option("--dtype", metavar="TYPE", help="float32 or float64.  [float32]")
@click.option("--out", metavar="RUN", help="Folder to create for this run.  [runs/MODEL-DATA]")
@click.option("--resume", metavar="RUN", help="Resume a run that was stopped, with its own settings.")
@click.option("--no-report", is_flag=True, help="Do not write report.html, which takes about a third of a second.")
@JSON
def train(as_json: bool, resume: str | None, no_report: bool, **options: Any) -> None:
    """Train a network and write a run folder.

    The run folder holds a checkpoint, the history, and report.html with pictures.

    \b
    Examples:
      plaingrad train
      plaingrad train --model lenet5 --data mnist --epochs 5
      plaingrad train --data photos/ --validation 0.2 --patience 3
      plaingrad train --resume runs/lenet5-mnist      after Ctrl-C, a crash, or a power cut

    Ctrl-C finishes the current step and saves. An existing run is never overwritten.
    """
    from plaingrad.cli.commands import finish, prepare, take_up
    from plaingrad.cli.progress import progress

    training = prepare(options) if resume is None else take_up(resume, options)
    if training.trainer.position.done:
        say(f"{visible(resume)} is finished; to train for longer, start a new run with more --epochs", err=True)
    else:
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
