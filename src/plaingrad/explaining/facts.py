"""What a page says of a run besides its numbers: the layers, the classes, the loss."""

import inspect
from typing import Any

import numpy as np

from plaingrad.explaining.dense import sums_of
from plaingrad.explaining.reasons_of_layers import ALONE
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import INPUT, Sheet, Twin
from plaingrad.explaining.words import RECORDS, about, role, rules
from plaingrad.textbook.layer import passes
from plaingrad.textbook.layers.skip import BOTH_ERRORS
from plaingrad.textbook.phrases import shape_text
from plaingrad.textbook.text import Text
from plaingrad.training.inference import probabilities

ROLES = {"values": "value", "errors": "error", "weights": "weight", "gradients": "gradient", "others": "other"}
BARE: dict[str, Any] = {key: [] for key in (*ROLES, "texts")}


def sheets_shown(tracer: Tracer) -> list[Sheet]:
    """The arrays a page shows: all of the run, and none of the optimiser's."""
    return [sheet for sheet in tracer.twin.in_order if sheet.quantity in tracer.twin.twin.records[sheet.layer]]


def first_gradient(tracer: Tracer) -> str:
    """What to begin with: the first gradient, and without gradients the last output."""
    names = [sheet.name for sheet in sheets_shown(tracer) if not tracer.is_given(sheet)]
    chosen = next((name for name in names if name.endswith(".dw")), names[-1])
    return tracer.twin.name(tracer.twin.sheets[chosen].start)


def class_names(tracer: Tracer, known: list[str]) -> list[str]:
    """A name for each output."""
    count = tracer.twin.net.output[0] if len(tracer.twin.net.output) == 1 else 0
    return [*known[:count], *(str(each) for each in range(len(known), count))]


def label(tracer: Tracer) -> int | None:
    """The class that was meant; None where the targets name no class."""
    if not tracer.twin.twin.has_gradients or tracer.twin.run.loss is None:
        return None
    target = tracer.twin.twin.records["loss"]["target"].reshape(-1)
    one_hot = np.count_nonzero(target) == 1 and target.max() == 1 and len(target) > 1
    return int(target.argmax()) if one_hot else None


def class_probabilities(tracer: Tracer) -> list[float] | None:
    """What the network gives each class, where it names classes."""
    run = tracer.twin.run
    if run.loss is None or label(tracer) is None:
        return None
    return [float(each) for each in probabilities(run.output[:1].astype(np.float32), run.loss)[0]]


def loss_told(tracer: Tracer) -> dict[str, Any] | None:
    """The loss, and its value."""
    twin = tracer.twin
    if not twin.twin.has_gradients or twin.run.loss is None:
        return None
    value = twin.value(twin.cell("loss.y"))
    return {"value": value}


def note(tracer: Tracer) -> str | None:
    """What is to be known of a run of one image where a layer mixes the images of a batch; else None."""
    run = tracer.twin.twin
    if not (run.is_mixed and run.training and tracer.twin.count == 1):
        return None
    mixing = next(name for name, record in run.records.items() if "share" in record and name != "loss")
    return f"{mixing} mixes the images of a batch. Here {ALONE}."


def points_at(tracer: Tracer, sheet: Sheet) -> dict[str, Any] | None:
    """What an array of places is about: the array they lie in, and the windows it was searched with; else None."""
    making = tracer.making(sheet)
    window = making.task.seen.get("window") if making else None
    if sheet.quantity != "winner" or window is None:
        return None
    before = [first for first, _ in window.margins]
    name = tracer.twin.names[f"{sheet.layer}.x"]
    return {"array": name, "stride": list(window.stride), "size": list(window.reach), "before": before}


def layers_told(tracer: Tracer) -> list[dict[str, Any]]:
    """The layers in order: first the input, last the loss where there is one."""
    loss = [_loss_layer(tracer)] if loss_told(tracer) else []
    return [_input(tracer), *(_layer(tracer, name) for name in tracer.twin.net.steps), *loss]


def _input(tracer: Tracer) -> dict[str, Any]:
    twin = tracer.twin
    error = _error_of_input(twin)
    told = {"name": INPUT, "kind": "Input", "text": shape_text(twin.net.input)}
    more = {"about": f"{about(twin, twin.sheets[INPUT])}.", "values": [INPUT], "errors": [error] if error else []}
    return BARE | told | more


def _error_of_input(twin: Twin) -> str | None:
    """The error that the first layer hands back: it stands with the input."""
    return twin.names.get(f"{next(iter(twin.net.steps))}.dx")


def _layer(tracer: Tracer, name: str) -> dict[str, Any]:
    twin = tracer.twin
    layer = twin.net.steps[name].layer
    of_input = {INPUT, _error_of_input(twin)}
    own = [each for each in sheets_shown(tracer) if each.layer == name and each.name not in of_input]
    return {
        "name": name,
        "kind": type(layer).__name__,
        "text": repr(layer),
        "about": told_of(layer),
        "rules": rules(layer, twin.net.steps[name].weights, name in twin.twin.starts),
        **{key: [each.name for each in own if role(twin, each) == kind] for key, kind in ROLES.items()},
        **{key: twin.names.get(f"{name}.{key}") for key in ("x", "y", "dx", "dy")},
        "sums": sums_of(tracer, name),
        "texts": sources(layer) + ([source(BOTH_ERRORS, "backward")] if name in twin.twin.starts else []),
    }


def _loss_layer(tracer: Tracer) -> dict[str, Any]:
    loss = tracer.twin.run.loss
    assert loss is not None
    told = {"name": "loss", "kind": type(loss).__name__, "text": repr(loss), "about": told_of(loss)}
    others = [sheet.name for sheet in sheets_shown(tracer) if sheet.layer == "loss"]
    joins = {key: tracer.twin.names[f"loss.{key}"] for key in ("x", "dx")}
    more: dict[str, Any] = {"others": others, "rules": rules(loss, {}), "texts": sources(loss)}
    return BARE | told | joins | more


def sources(owner: Any) -> list[dict[str, str]]:
    """The texts of a layer or a loss, its activation's too."""
    return [source(each.text, way) for way in ("forward", "backward") for each in passes(owner)[way]]


def source(text: Text, way: str) -> dict[str, str]:
    """A text as a page shows it, and on which way it runs."""
    return {"name": text.__name__, "way": way, "source": text.source}


def told_of(record: Any) -> str:
    """What a layer or a loss does: in words for a beginner where there are such, else what it says of itself."""
    name = type(record).__name__
    if name in RECORDS:
        return RECORDS[name] + (" " + RECORDS["activation"] if getattr(record, "activation", None) else "")
    text = inspect.getdoc(record) or name
    return " ".join(text.split("\n\n")[0].split()).replace("`", "")


def partial(opens: str, command: str) -> str:
    """What a page says that holds no more than leads to one number, with the command that explains another."""
    again = f'{command} "NAME"' if command else 'run.explain("NAME")'
    return (
        f"This page holds the part of a large network that leads to {opens}. "
        f"Of its largest arrays only the numbers met are held. For another number: {again}"
    )
