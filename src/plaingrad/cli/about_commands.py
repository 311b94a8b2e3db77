"""The commands that tell what there is: the machine, the built-in networks, and the questions people ask."""

import sys

import click

from plaingrad.cli.check_commands import JSON
from plaingrad.cli.terminal import patience, say
from plaingrad.textbook.phrases import shape_text
from plaingrad.textbook.record import json_text


@click.command()
@JSON
def doctor(as_json: bool) -> None:
    """Show what this machine has, and whether plaingrad works on it.

    Versions, processor and vector instructions, the folder of compiled code, extras that are installed, and a layer
    tried. Ends with what could be better, and how. Exit code 0 where a layer's laws hold here, 1 where they do not.
    """
    from plaingrad.cli import doctor_run

    with patience("working: a convolution is compiled and its laws are tried"):
        found = doctor_run.examined()
    say(json_text(found) if as_json else doctor_run.text(found))
    sys.exit(0 if found["is_right"] else 1)


@click.command()
@click.argument("name", required=False)
@JSON
def models(name: str | None, as_json: bool) -> None:
    """List the built-in networks; with NAME, show its layers.

    `plaingrad models NAME --json` writes the network as `train --model FILE` reads it: edit it and train your own.
    """
    from plaingrad.network.models import MODELS

    if name:
        from plaingrad.network.files import described, is_file

        net, recipe = described(name)
        about, best = ("", None) if is_file(name) else (f"{MODELS[name].about}\n", MODELS[name].best)
        told = f"{recipe}\nwith --best: {best}" if best else str(recipe)
        say(json_text(net.to_json()) if as_json else f"{about}{told}\n\n{net.summary()}")
        return
    nets = {each.name: (each, each.network()) for each in MODELS.values()}
    if as_json:
        rows = {
            each.name: {"about": each.about, "input": net.input, "output": net.output, "parameters": net.size}
            for each, net in nets.values()
        }
        say(json_text(rows))
        return
    for each, net in nets.values():
        shape = shape_text(net.input)
        say(f"{each.name:<15} {shape:>8} → {net.output[0]}  {net.size:>9,} parameters  {each.about}")


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME | WORD...]")
@JSON
def questions(words: tuple[str, ...], as_json: bool) -> None:
    """List the questions people ask; show the answer to one, with numbers.

    \b
    Examples:
      plaingrad questions
      plaingrad questions dense-loop
      plaingrad questions why store the position of the maximum

    Several questions that fit the words are listed.
    """
    from plaingrad.cli.questions_run import answer

    for told in answer(" ".join(words) if words else None, as_json):
        say(told)
