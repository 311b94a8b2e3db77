"""The subcommands `case` and `check`."""

import pathlib
from typing import Any

import click

from plaingrad.cli.terminal import say
from plaingrad.errors import visible
from plaingrad.textbook.record import json_text

FORCE = click.option("--force", is_flag=True, help="Replace an existing file.")
HINTS = ("place", "kind", "line", "all")  # as in checking/verdict/hint.py, which takes longer to import
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout.")


@click.command()
@click.option("-o", "--out", metavar="FILE", help="Write the case to this file.  [stdout]")
@click.option("--model", metavar="NAME", help="Use a built-in network (see `plaingrad models`).")
@click.option("--network", metavar="FILE", help="Use a network described in a JSON file.")
@click.option("--example", metavar="NAME", help="Use one of the library's example networks.")
@click.option("--layers", metavar="LIST", help="Use these layers, in this order: conv,relu,maxpool,flatten,dense, …")
@click.option("--simple", is_flag=True, help="Use one image, one channel and one filter, for a first program.")
@click.option("--no-dilation", "undilated", is_flag=True, help="Leave out dilation and the padding of pools, for a program without them.")  # fmt: skip  # noqa: E501
@click.option("--loss", metavar="NAME", help="Loss: SoftmaxCrossEntropy, MeanSquaredError, …")
@click.option(
    "--images",
    type=int,
    metavar="N",
    help="Images in each batch.  [3, or another number unlike all sizes; 1 with --simple, 2 with --model]",
)
@click.option("--steps", type=int, default=2, metavar="N", help="Training steps.  [2]")
@click.option("--rate", type=float, metavar="R", help="Learning rate.  [3/16; 1/256 with --model]")
@click.option("--seed", type=int, default=0, metavar="S", help="Seed of the random numbers.  [0]")
@FORCE
@JSON
def case(out: str | None, force: bool, as_json: bool, **told: Any) -> None:
    """Write a test problem for your own program, in JSON.

    A case is a small network with all its numbers. Your program reads it, computes outputs, gradients and updated
    weights, as many as it can, and writes them as JSON, NPZ or a folder of CSV files. `plaingrad check` then says which
    numbers are right, and names the mistake in wrong ones. The file explains each of its fields. The default case has
    unequal sizes, overlapping windows, padding, dilation and several images, so that mistakes show which others would
    hide. What a case cannot show is said on stderr when it is written. Even seeds make images higher than wide, odd
    ones wider than high.

    \b
    Examples:
      plaingrad case -o case.json
      plaingrad case --simple -o first.json
      plaingrad case --layers conv,tanh,meanpool,flatten,dense -o mine.json
      plaingrad case --layers conv,batchnorm,relu,conv,add:relu1,globalmeanpool,dense -o skip.json
      plaingrad case --no-dilation --seed 1 -o undilated.json
    """
    from plaingrad.checking.case_words import asked
    from plaingrad.checking.seeing import hidden_of
    from plaingrad.cli.check_run import chosen_case
    from plaingrad.textbook.phrases import counted
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
        f"{counted(len(made.batches), 'step')}, {quantities} quantities to compute; "
        f"then: plaingrad check {visible(out)} ANSWER"
    )
    hidden = hidden_of(made)
    if hidden is not None and hidden.mistakes:
        more = "; when your program is right with it, go on with: plaingrad case" if hidden.in_default else ""
        say(f"{visible(out)}: this case cannot show {hidden.summary}{more}", err=True)


@click.command()
@click.argument("case_file", metavar="[CASE]", required=False)
@click.argument("answers", metavar="[ANSWER...]", nargs=-1)
@click.option("--run", "command", metavar="COMMAND", help="Run a program that reads the case from its stdin and writes the answer to its stdout.")  # fmt: skip  # noqa: E501
@click.option("--time-limit", "seconds", type=float, default=60, metavar="S", help="Time limit for the program, or for each answer of a class, in seconds.  [60]")  # fmt: skip  # noqa: E501
@click.option("--hint", type=click.Choice(HINTS), default=HINTS[-1], help="How much to tell of a mistake: its place, also its kind, also the correct loop, or all.  [all]")  # fmt: skip  # noqa: E501
@click.option("--example", "example_name", metavar="NAME", help="Check a formula for a number of one of the library's examples.")  # fmt: skip  # noqa: E501
@click.option("--formula", metavar="TEXT", help='The formula: "dC/dw[0,0] = …".')
@click.option("--all", "every", is_flag=True, help="Show a line for every quantity, including the right ones.")
@click.option("--html", "page", metavar="FILE", help="Write the verdict as a page, with the wrong numbers marked; of a class, the table.")  # fmt: skip  # noqa: E501
@click.option("--csv", "sheet", metavar="FILE", help="Write the table of a class as CSV.")
@click.option("--jobs", type=int, metavar="N", help="Answers of a class that are checked at once.  [one per processor]")
@FORCE
@JSON
@click.pass_context
def check(
    context: click.Context, case_file: str | None, answers: tuple[str, ...], command: str | None, seconds: float,
    hint: str, example_name: str | None, formula: str | None, every: bool, page: str | None, sheet: str | None,
    jobs: int | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check gradients, and name the mistake in wrong ones.

    \b
    Examples:
      plaingrad check case.json answer.json
      plaingrad check case.json --run "java Main"
      plaingrad check case.json answer.npz --html verdict.html
      plaingrad check case.json answer.json --hint place
      plaingrad check case.json answers/ --csv class.csv
      plaingrad check --example two-kernels --formula "conv1.dw[0,0,0,0] = 2 * x[0,0,0]"

    The program started by --run has all rights of your user account: run only programs that you have read.

    ANSWER is a JSON object of names and nested lists, an NPZ file, a folder of NAME.csv files, or - for stdin. Several
    of them, or a folder that holds one for each person, are a class: they are checked at once, and leave one table.

    Exit code: 0 right (also with another convention), 1 wrong or unclear, 2 not readable or nothing to compare. Of a
    class: 0 all right, 1 not all, 2 none could be checked.
    """
    from plaingrad.checking.case_file import case_and_text
    from plaingrad.checking.claims import claim
    from plaingrad.cli.check_run import is_of_class, judged, require_answer
    from plaingrad.errors import SettingError
    from plaingrad.explaining.examples import example_named
    from plaingrad.training.run_folder import require_new

    if (example_name is None) != (formula is None):
        raise SettingError("a formula is checked with both --example NAME and --formula TEXT")
    if formula is not None and example_name is not None:
        if case_file or command or page or sheet or jobs is not None or hint != HINTS[-1]:
            raise SettingError("--formula needs no case and no answer: leave out CASE and all options but --json")
        told = claim(example_named(example_name).run(), formula)
        say(json_text(told.to_json()) if as_json else told.text())
        context.exit(0 if told.right else 1)
    if case_file is None:
        raise SettingError("check needs a CASE, the file that `plaingrad case -o FILE` writes, and an ANSWER")
    require_new(page, force)
    require_new(sheet, force)
    require_answer(answers, command, seconds)
    case, text = case_and_text(case_file)
    asks_for_table = sheet is not None or jobs is not None
    if command is None and (asks_for_table or is_of_class(answers, case)):
        from plaingrad.cli.check_class_run import checked_class

        if every:
            raise SettingError("--all is for one answer: the table of a class has a line for each; leave it out")
        context.exit(
            checked_class(case, case_file, answers, page, sheet, as_json, jobs=jobs, seconds=seconds, hint=hint)
        )
    if asks_for_table:
        raise SettingError("--csv and --jobs are for the answers of a class: leave them out, or --run")
    verdict = judged(case, text, answers, command, seconds)
    if page is not None:
        from plaingrad.checking.verdict.page import save_page

        save_page(verdict, page, hint)
    say(json_text(verdict.to_json(hint)) if as_json else verdict.text(every, hint))
    context.exit(0 if verdict.is_right else 1)
