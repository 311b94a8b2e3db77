"""What `plaingrad case` and `plaingrad check` do."""

import math
from collections.abc import Sequence
from typing import Any

from plaingrad.checking import Case, Verdict, check_answer, make_case
from plaingrad.checking.case_layers import LARGE_INPUT, of_words, turned_input
from plaingrad.checking.new_case import RATE
from plaingrad.errors import SettingError, nearest, require_whole
from plaingrad.explaining.examples import example_named
from plaingrad.network.files import network_from_file
from plaingrad.network.models import MODELS
from plaingrad.textbook.losses import Loss

MODEL_RATE = 1 / 256  # a large network takes smaller steps, or its scores overflow after the first


def chosen_case(
    model: str | None, network: str | None, example: str | None, layers: str | None, simple: bool,
    loss: str | None, rate: float | None, undilated: bool, **told: Any,
) -> Case:  # fmt: skip
    """The case of a built-in network, a file, an example, or some layers."""
    asked = {"--model": model, "--network": network, "--example": example, "--layers": layers, "--simple": simple}
    named = [name for name, value in asked.items() if value]
    if len(named) > 1:
        raise SettingError(f"case got {' and '.join(named)}; it needs one of them at most")
    if undilated and (model or network or example):
        raise SettingError("--no-dilation is for --layers and the default case: leave it out, or --model and the like")
    told |= {"loss": chosen_loss(loss), "rate": (MODEL_RATE if model else RATE) if rate is None else rate}
    if model:
        if model not in MODELS:
            raise SettingError(f"there is no model {model!r}; {nearest(model, MODELS)}")
        net = MODELS[model].network()
        told["images"] = 2 if told["images"] is None else told["images"]
        return make_case(net.layers, net.input, **told, name=model)
    if network:
        net = network_from_file(network)
        return make_case(net.layers, net.input, **told, name=net.name)
    if example:
        one = example_named(example)
        net = one.network()
        return make_case(net.layers, net.input, **told | {"loss": told["loss"] or one.loss}, name=example)
    if layers:
        require_whole("a case", "seed", told["seed"], 0)
        input = turned_input(told["seed"], LARGE_INPUT)
        return make_case(of_words(layers, input), input, **told, undilated=undilated, name="case")
    return make_case(simple=simple, **told, undilated=undilated)


def chosen_loss(name: str | None) -> Loss | None:
    """A loss by its name."""
    if name is None:
        return None
    kinds = {kind.lower(): kind for kind in Loss.kinds()}
    if name.lower() not in kinds:
        raise SettingError(f"there is no loss {name!r}; {nearest(name, Loss.kinds())}")
    return Loss.from_json({"kind": kinds[name.lower()]})


def require_answer(answers: Sequence[str], command: str | None, seconds: float) -> None:
    """SettingError unless answers are in files, or a program makes one, within a time limit."""
    if answers and command is not None:
        raise SettingError(f"check got an ANSWER, {answers[0]}, and --run {command!r}; leave one of them out")
    if not answers and command is None:
        raise SettingError('check needs an ANSWER, or --run "COMMAND" to make one')
    if not 0 < seconds < math.inf:
        raise SettingError(f"--time-limit got {seconds:g} s; it needs a number above 0")


def is_of_class(answers: Sequence[str], case: Case) -> bool:
    """Whether answers are those of a class: several, or a folder of several."""
    from plaingrad.checking.classroom.gathering import is_class

    return len(answers) > 1 or (len(answers) == 1 and is_class(answers[0], case))


def judged(case: Case, case_text: str, answers: Sequence[str], command: str | None, seconds: float) -> Verdict:
    """The verdict on an answer in a file, or on a program that is run."""
    from plaingrad.checking.answers.answer import read_answer
    from plaingrad.checking.answers.program import ask

    answer = read_answer(answers[0]) if command is None else ask(command, case_text, seconds)[0]
    return check_answer(case, answer)
