"""The subcommands `case` and `check`."""

import pathlib
from typing import Any

import click

from plaingrad.cli.terminal import say
from plaingrad.errors import visible
from plaingrad.textbook.record import json_text

FORCE = click.option("--force", is_flag=True, help="Replace a file that is there already.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line, nothing else on stdout.")


@click.command()
@click.option("-o", "--out", metavar="FILE", help="Where to write the case.  [stdout]")
@click.option("--model", metavar="NAME", help="Of a built-in network (see `plaingrad models`).")
@click.option("--network", metavar="FILE", help="Of a network in a JSON file.")
@click.option("--example", metavar="NAME", help="Of one of the library's small networks.")
@click.option("--layers", metavar="LIST", help="Of these layers, in order: conv,relu,maxpool,flatten,dense, …")
@click.option("--simple", is_flag=True, help="One image, one channel, one filter: for a first program.")
@click.option("--loss", metavar="NAME", help="SoftmaxCrossEntropy, MeanSquaredError, …")
@click.option("--images", type=int, metavar="N", help="Images in each batch.  [4; 1 where simple, 2 of a model]")
@click.option("--steps", type=int, default=2, metavar="N", help="Steps of training.  [2]")
@click.option("--rate", type=float, metavar="R", help="The rate of the steps.  [0.125; 1/256 of a model]")
@click.option("--seed", type=int, default=0, metavar="S", help="Another seed draws other numbers.  [0]")
@FORCE
@JSON
def case(out: str | None, force: bool, as_json: bool, **told: Any) -> None:
    """A problem for your own program: a small network with all its numbers, in JSON.

    Your program reads it, computes outputs, gradients and updated weights, as many as it can, and writes them as JSON,
    NPZ or a folder of CSV files. `plaingrad check` then says what is right, and names what is wrong. The file says in
    words what each field means. Without options the case is made so that hidden mistakes show.

    \b
    Examples:
      plaingrad case -o case.json
      plaingrad case --simple -o first.json
      plaingrad case --layers conv,tanh,meanpool,flatten,dense -o mine.json
    """
    from plaingrad.checking.case_words import asked
    from plaingrad.cli.check_run import chosen_case, counted
    from plaingrad.training.run_folder import require_new

    require_new(out, force)
    made = chosen_case(**told)
    text = made.text()
    if out is None:
        say(text, end="")
        return
    pathlib.Path(out).write_text(text, encoding="utf-8")
    quantities = len(asked(made.net, made.images, len(made.batches)))
    shown = {"case": out, "layers": list(made.net.steps), "images": made.images, "quantities": quantities}
    say(
        json_text(shown)
        if as_json
        else f"{visible(out)}: {' → '.join(made.net.steps)}, {counted(made.images, 'image')}, "
        f"{counted(len(made.batches), 'step')}, {quantities} quantities to answer; "
        f"then: plaingrad check {visible(out)} ANSWER"
    )


@click.command()
@click.argument("case_file", metavar="[CASE]", required=False)
@click.argument("answer_file", metavar="[ANSWER]", required=False)
@click.option("--run", "command", metavar="COMMAND", help="Run a program instead: the case on its stdin, the answer on its stdout.")  # fmt: skip  # noqa: E501
@click.option("--time-limit", "seconds", type=float, default=60, metavar="S", help="Seconds the program may take.  [60]")  # fmt: skip  # noqa: E501
@click.option("--example", "example_name", metavar="NAME", help="Check a formula for a number of one of the library's examples.")  # fmt: skip  # noqa: E501
@click.option("--formula", metavar="TEXT", help='The formula: "dC/dw[0,0] = …".')
@click.option("--all", "every", is_flag=True, help="A line for each quantity, also for what is right.")
@click.option("--html", "page", metavar="FILE", help="Write the verdict as a page, with the wrong numbers marked.")
@FORCE
@JSON
@click.pass_context
def check(
    context: click.Context, case_file: str | None, answer_file: str | None, command: str | None, seconds: float,
    example_name: str | None, formula: str | None, every: bool, page: str | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Whether a program's gradients are right, and if not, which mistake was made where.

    \b
    Examples:
      plaingrad check case.json answer.json
      plaingrad check case.json --run "java Main"
      plaingrad check case.json answer.npz --html verdict.html
      plaingrad check --example two-kernels --formula "conv1.dw[0,0,0,0] = 2 * x[0,0,0]"

    The program that --run starts runs with your account and can do all that you can: run none that you have not read.

    ANSWER is a JSON object of names and nested lists, an NPZ file, a folder of NAME.csv files, or - for stdin. Exit
    code: 0 right (also with another convention), 1 wrong or unclear, 2 not readable.
    """
    from plaingrad.checking.claims import claim
    from plaingrad.cli.check_run import judged
    from plaingrad.errors import SettingError
    from plaingrad.explaining.examples import example_named
    from plaingrad.training.run_folder import require_new

    if (example_name is None) != (formula is None):
        raise SettingError("a formula is checked with both --example NAME and --formula TEXT")
    if formula is not None and example_name is not None:
        if case_file or command or page:
            raise SettingError("a formula is checked by itself: leave out CASE, --run and --html")
        told = claim(example_named(example_name).run(), formula)
        say(json_text(told.to_json()) if as_json else told.text())
        context.exit(0 if told.right else 1)
    if case_file is None:
        raise SettingError("check needs a CASE, the file that `plaingrad case -o FILE` writes, and an ANSWER")
    require_new(page, force)
    verdict = judged(case_file, answer_file, command, seconds)
    if page is not None:
        from plaingrad.checking.verdict.page import save_page

        save_page(verdict, page)
    say(json_text(verdict.to_json()) if as_json else verdict.text(every))
    context.exit(0 if verdict.is_right else 1)
