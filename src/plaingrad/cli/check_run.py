"""What `plaingrad case` and `plaingrad check` do."""

import math
from typing import Any

from plaingrad.checking import Case, Verdict, check_answer, make_case
from plaingrad.checking.case import of_words
from plaingrad.checking.case_file import case_and_text
from plaingrad.errors import SettingError, nearest
from plaingrad.explaining.examples import example_named
from plaingrad.network.files import network_from_file
from plaingrad.network.models import MODELS
from plaingrad.textbook.losses import Loss

RATE, MODEL_RATE = 1 / 8, 1 / 256  # a large network takes smaller steps, or its scores overflow after the first


def chosen_case(
    model: str | None, network: str | None, example: str | None, layers: str | None, simple: bool,
    loss: str | None, rate: float | None, **told: Any,
) -> Case:  # fmt: skip
    """The case of a built-in network, a file, an example, or some layers."""
    asked = {"--model": model, "--network": network, "--example": example, "--layers": layers, "--simple": simple}
    named = [name for name, value in asked.items() if value]
    if len(named) > 1:
        raise SettingError(f"case got {' and '.join(named)}; it needs one of them at most")
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
        return make_case(of_words(layers, (2, 11, 9)), **told, name="case")
    return make_case(simple=simple, **told)


def chosen_loss(name: str | None) -> Loss | None:
    """A loss by its name."""
    if name is None:
        return None
    kinds = {kind.lower(): kind for kind in Loss.kinds()}
    if name.lower() not in kinds:
        raise SettingError(f"there is no loss {name!r}; {nearest(name, Loss.kinds())}")
    return Loss.from_json({"kind": kinds[name.lower()]})


def judged(case_file: str, answer_file: str | None, command: str | None, seconds: float) -> Verdict:
    """The verdict on an answer in a file, or on a program that is run."""
    from plaingrad.checking.answers.answer import read_answer
    from plaingrad.checking.answers.program import ask

    if answer_file is not None and command is not None:
        raise SettingError(f"check got an ANSWER, {answer_file}, and --run {command!r}; leave one of them out")
    if answer_file is None and command is None:
        raise SettingError('check needs an ANSWER, or --run "COMMAND" to make one')
    if not 0 < seconds < math.inf:
        raise SettingError(f"--time-limit got {seconds:g} s; it needs a number above 0")
    case, text = case_and_text(case_file)
    if command is not None:
        answer, _ = ask(command, text, seconds)
    else:
        answer = read_answer(str(answer_file))
    return check_answer(case, answer)
