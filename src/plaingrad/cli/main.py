"""The command line: each subcommand reads its options, calls the public functions, and says what came of it.

Results go to stdout, progress and errors to stderr. Bad input is one line and exit code 2. A defect of plaingrad's own
is one line too, and exit code 70, as `sysexits.h` has it; PLAINGRAD_TRACEBACK=1 shows where it happened.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from plaingrad import __version__
from plaingrad.cli.about_commands import doctor, models, questions
from plaingrad.cli.beginning import TerminatedError, take_over
from plaingrad.cli.check_commands import FORCE, JSON, case, check
from plaingrad.cli.terminal import patience, say
from plaingrad.cli.train_commands import DATA_DIR, LABEL, SHAPE, THREADS, find_rate, train
from plaingrad.errors import PlaingradError, StoppedError, visible
from plaingrad.textbook.habits import OURS
from plaingrad.textbook.phrases import shape_text
from plaingrad.textbook.record import json_text
from plaingrad.training.launched import current, start

DEFECT = 70  # the exit code of an error inside the program, EX_SOFTWARE
MOST_TOLD = 300  # letters of what Python says of a defect


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="plaingrad")
def cli() -> None:
    """Train convolutional networks, explain any number in them, and check gradients.

    \b
    Start here:
      plaingrad train                        train a small CNN on the bundled 8×8 digits, in seconds
      plaingrad data get mnist               download MNIST, once
      plaingrad train --data mnist           train LeNet-5 on it
      plaingrad find-rate                    suggest a learning rate, and plot the loss over it
      plaingrad evaluate runs/digits-digits  accuracy, precision and recall, confusion matrix
      plaingrad explain runs/digits-digits   list the numbers that can be explained
      plaingrad case -o case.json            write a test problem for your own program
      plaingrad check case.json answer.json  check its numbers, and name the mistake in wrong ones
      plaingrad models                       list the built-in networks
      plaingrad questions                    list what people ask, and show the answers
      plaingrad doctor                       show what this machine has, and whether all works on it
    """


@cli.command()
@click.argument("run")
@click.option("--data", "data_name", metavar="NAME|PATH", help="Data to test on.  [the data of the run]")
@DATA_DIR
@LABEL
@SHAPE
@THREADS
@JSON
def evaluate(
    run: str, data_name: str | None, data_dir: str | None, threads: int | None, as_json: bool, **reading: str | None
) -> None:
    """Test a trained network: precision and recall of each class.

    And its accuracy with a 95 % interval, its loss, F1, macro and weighted means, and the confusion matrix.

    RUN is a run folder, or a checkpoint file.
    """
    from plaingrad.cli.asked import judge

    result = judge(run, data_name, data_dir, threads, **reading)
    say(json_text(result.to_json()) if as_json else str(result))


@cli.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@JSON
def predict(run: str, images: tuple[str, ...], as_json: bool) -> None:
    """Classify image files with a trained network.

    The images are PNG, JPEG, GIF, BMP, TIFF or WebP files, or files of several images: CSV, NPY, NPZ, IDX. An image
    file is resized, and made grey, where the network needs that; inverted where it is plainly black on white and
    the training images were white on black, as those of MNIST and the bundled digits; and stretched where it is pale.
    What was done is said on stderr.

    RUN is a run folder, or a checkpoint file.
    """
    from plaingrad.cli.asked import name_images

    results = name_images(run, images)
    if as_json:
        say(json_text({"predictions": results}))
        return
    for result in results:
        others = ", ".join(f"{visible(each['class'])} {each['probability']:.4f}" for each in result["next"])
        seen = f"{visible(result['class'])} {result['probability']:.4f}"
        say(f"{visible(result['image'])}: {seen} (next: {others})")


@cli.command()
@click.argument("words", nargs=-1, metavar="[RUN] [QUANTITY]")
@click.option("--example", "example_name", metavar="NAME", help="Use one of the library's example networks instead of a RUN: first-cnn, pooling-chain, overlap, …")  # fmt: skip  # noqa: E501
@click.option("--network", metavar="FILE", help="Use a network of your own, described in a JSON file, or a built-in one by its name, instead of a RUN.")  # fmt: skip  # noqa: E501
@click.option("--input", metavar="IMAGE|random", help="For --network: an image file, or random pixels in tenths.  [random]")  # fmt: skip  # noqa: E501
@click.option("--weights", metavar="FILE", help="For --network: a checkpoint, or a safetensors file with arrays such as conv1.w.  [random]")  # fmt: skip  # noqa: E501
@click.option("--seed", type=int, metavar="S", help="For --network: the seed of what is random.  [0]")
@click.option("--image", metavar="N|FILE", help="Number of a test image, or an image file.  [0]")
@click.option(
    "--label", metavar="CLASS", help="The true class of the image.  [its label; for a file, the predicted class]"
)
@click.option("--html", "page", metavar="FILE", help="Write an interactive HTML page; it opens with QUANTITY.")
@click.option("--symbols", is_flag=True, help="Show the number as an expression in the inputs and weights.")
@click.option("--mathml", is_flag=True, help="Print only the formula, as MathML; with --symbols that expression.")
@click.option("--optimiser", metavar="NAME", help="For w_after: sgd, nesterov, adam or adamw, at its first step.  [that of the run]")  # fmt: skip  # noqa: E501
@click.option("--rate", type=float, metavar="R", help="Learning rate of that optimiser.  [its default]")
@click.option("--all", "all_terms", is_flag=True, help="Show all terms of a long sum, in order.")
@DATA_DIR
@FORCE
@JSON
def explain(
    words: tuple[str, ...], example_name: str | None, network: str | None, as_json: bool, **options: Any
) -> None:
    """Show where a number comes from: formula, terms, reasons.

    \b
    Examples:
      plaingrad explain runs/lenet5-mnist "conv1.dw[0,0,1,2]"
      plaingrad explain runs/lenet5-mnist "maxpool1.dx[0,3,4]" --image 5
      plaingrad explain runs/lenet5-mnist --html page.html
      plaingrad explain --example first-cnn "conv1.dw[0,0,0,0]" --symbols
      plaingrad explain --example first-cnn           lists what can be explained
      plaingrad explain --network mine.json "conv1.dw[0,0,0,0]"

    RUN is a run folder or a checkpoint file. QUANTITY is LAYER.NAME[…]. NAME is x (input), y (output), w (weights) or b
    (biases); with a d before it, it is the gradient with respect to that array. w_after is the weight after the next
    step of the optimiser.

    A network of your own is a file such as `plaingrad models NAME --json` writes.

    The last line names the question that the number is an answer to; `plaingrad questions` lists them all.
    """
    from plaingrad.cli.explain_run import answer

    with patience("working: code for a network is compiled the first time, then kept"):
        told = answer(words, example_name, network, as_json=as_json, **options)
    say(json_text(told) if as_json else told)


@cli.command()
@click.argument("run")
@click.argument("file", metavar="FILE")
@click.option("--probabilities", is_flag=True, help="End in probabilities instead of scores; for ONNX.")
@FORCE
@JSON
def export(run: str, file: str, probabilities: bool, force: bool, as_json: bool) -> None:
    """Write a trained network for other programs.

    FILE ends in .onnx, or in .safetensors for PyTorch's load_state_dict.

    \b
    Examples:
      plaingrad export runs/lenet5-mnist lenet5.onnx
      plaingrad export runs/lenet5-mnist/best.safetensors lenet5.safetensors

    RUN is a run folder, or a checkpoint file.
    """
    from plaingrad.cli.export_run import exported

    result = exported(run, file, probabilities, force)
    if as_json:
        say(json_text(result))
        return
    shape, how = shape_text(tuple(result["input"])), "as ONNX" if result["kind"] == "onnx" else "under PyTorch's names"
    say(f"{visible(file)}: {visible(result['network'])} {how}, {result['parameters']:,} parameters, input {shape}")


@cli.group()
def data() -> None:
    """Download data sets; say what is in files of data."""


@data.command()
@click.argument("name")
@click.option("--to", "folder", metavar="DIR", help="Folder to put the files in.  [the user's cache]")
@JSON
def get(name: str, folder: str | None, as_json: bool) -> None:
    """Download mnist, fashion-mnist or cifar10.

    It tries several mirrors, checks SHA-256, and resumes an interrupted download.
    """
    from plaingrad.data import download

    last: dict[str, int] = {}

    def shown(file: str, done: int, total: int | None) -> None:
        share = 10 * done // total if total else 0
        if last.get(file) != share:
            last[file] = share
            say(f"{file}: {done:,} of {f'{total:,}' if total else 'unknown'} bytes", err=True)

    place = download(name, folder, progress=shown)
    say(json_text({"data": name, "folder": str(place)}) if as_json else f"{name} is in {visible(place)}")


@data.command()
@click.argument("place", metavar="NAME|PATH")
@DATA_DIR
@LABEL
@SHAPE
@click.option("--picture", metavar="FILE", help="Write a PNG file with a few images of each class.")
@FORCE
@JSON
def describe(place: str, picture: str | None, force: bool, as_json: bool, **options: str | None) -> None:
    """Say what is in data: kind, sizes, classes, values, parts.

    \b
    Examples:
      plaingrad data describe digits
      plaingrad data describe train.csv --picture images.png
    """
    from plaingrad.cli.data_read import described

    told = described(place, picture, force, **options)
    say(json_text(told.to_json()) if as_json else str(told))


for command in (doctor, models, questions, train, find_rate, case, check):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: errors of the user's are one line, exit code 2; Ctrl-C is exit code 130, SIGTERM 143."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show × or → is no reason to fail
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            take_over()
            if (sys.argv[1:] if arguments is None else [*arguments])[:1] == ["train"]:
                start()
            code = cli.main(arguments, prog_name="plaingrad", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "plaingrad"
        known = getattr(error.ctx.command, "params", ()) if isinstance(error, click.NoSuchOption) and error.ctx else ()
        ours = OURS.get(getattr(error, "option_name", "").lstrip("-").replace("-", "_"))
        hint = f" Write --{ours}." if f"--{ours}" in [option for each in known for option in each.opts] else ""
        _fail(f"{command}: {error.format_message()}{hint}", 2)
    except StoppedError as error:
        _fail(f"plaingrad: {error}", 128 + error.number)
    except PlaingradError as error:
        _fail(f"plaingrad: {error}", 2)
    except TerminatedError:
        _stop(143)
    except (click.Abort, KeyboardInterrupt):
        _stop(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read stdout has left: nothing more to say, and nobody to say it to
        sys.exit(1)
    except MemoryError as error:
        _fail(f"plaingrad: not enough memory: {error or 'a smaller batch or network needs less'}", 2)
    except OSError as error:
        _fail(f"plaingrad: {error.filename or 'the system'}: {error.strerror or error}", 2)
    except Exception as error:  # nothing a user can mend, and nothing that many lines of code would tell him
        _fail_by_defect(error)


def _fail_by_defect(error: Exception) -> None:
    if os.environ.get("PLAINGRAD_TRACEBACK") == "1":
        say("".join(traceback.format_exception(error)), err=True, end="")
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"[:MOST_TOLD]
    _fail(
        f"plaingrad: a defect of plaingrad's own, not of yours ({what}; {Path(place.filename).name}, line "
        f"{place.lineno}): please report it, with the command, and what PLAINGRAD_TRACEBACK=1 before it shows",
        DEFECT,
    )


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    if current().is_first:
        say(f"plaingrad: {' '.join(str(message).split())}", err=True)


def _fail(message: str, code: int) -> None:
    if current().speaks(code):
        say(" ".join(message.split()), err=True)
    sys.exit(code)


def _stop(code: int) -> None:
    current().interrupt("plaingrad: stopped", code)  # the other ranks may never come to where this one would wait
    _fail("plaingrad: stopped", code)
