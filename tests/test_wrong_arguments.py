"""Whatever a public function is given in place of what it takes: one line of plaingrad's own says so."""

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.textbook.layer import Layer, Start
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import Optimiser, Schedule

DATA = pg.digits().train.take(slice(0, 20))
IMAGES, LABELS = DATA.images[:2], DATA.labels[:2]


def network() -> pg.Network:
    return pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8), seed=0)


NET = network()
RUN = NET.run(IMAGES, LABELS)
WRONG: dict[str, Any] = {
    "None": None,
    "a word": "nonsense",
    "no letters": "",
    "a letter that no path has": "a\0b",
    "bytes": b"x",
    "a number": 3,
    "below zero": -1,
    "a fraction": 1.5,
    "not a number": float("nan"),
    "a complex number": 1j,
    "a huge number": 10**30,
    "truth": True,
    "a list": [],
    "lists of unequal lengths": [[1], [1, 2]],
    "a tuple": (1, "a"),
    "a dict": {},
    "an object": object(),
    "a type": int,
    "a function": len,
    "an array": np.zeros((2, 3)),
    "an array of words": np.array(["a", "b"]),
    "an array of objects": np.array([None, "a"], dtype=object),
    "a layer": pg.Conv(2),
    "a network": NET,
    "a run": RUN,
    "a dataset": DATA,
    "a split": pg.digits(),
}
ROWS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "train": (functools.partial(pg.train, epochs=1, threads=1), (NET, DATA, pg.SGD())),
    "Trainer": (functools.partial(pg.Trainer, NET, DATA), (pg.SGD(),)),
    "Trainer.resume": (pg.Trainer.resume, ("none", DATA)),
    "find_rate": (functools.partial(pg.find_rate, steps=10, threads=1), (NET, DATA, pg.SGD())),
    "evaluate": (functools.partial(pg.evaluate, threads=1), (NET, DATA)),
    "score": (functools.partial(pg.score, threads=1), (NET, DATA)),
    "predict": (functools.partial(pg.predict, threads=1), (NET, IMAGES)),
    "Inference": (lambda net, images: pg.Inference(net, 1)(images), (NET, IMAGES)),
    "explain": (pg.explain, (RUN, "dense1.dw[0,0]")),
    "check": (functools.partial(pg.check, seeds=1), (pg.Dense(2), (4,))),
    "from_arrays": (pg.from_arrays, (IMAGES, LABELS, 10, "name")),
    "from_onnx": (pg.from_onnx, ("none.onnx", (1, 8, 8))),
    "from_torch": (lambda module, input: pg.from_torch(module, input=input), (None, (1, 8, 8))),
    "from_keras": (pg.from_keras, ("none.keras", None)),
    "image_folder": (pg.image_folder, ("none", 0.2, 0, (1, 8, 8))),
    "load": (pg.load, ("digits",)),
    "mnist": (pg.mnist, ("none",)),
    "fashion_mnist": (pg.fashion_mnist, ("none",)),
    "model": (pg.model, ("digits",)),
    "example": (pg.example, ("first-cnn",)),
    "Network": (
        lambda layer, input, seed, dtype, name: pg.Network(layer, input=input, seed=seed, dtype=dtype, name=name),
        (pg.Flatten(), (1, 8, 8), 0, "float32", "name"),
    ),
    "Network.from_json": (pg.Network.from_json, (NET.to_json(), 0, "float32")),
    "Network.run": (NET.run, (IMAGES, LABELS, pg.SoftmaxCrossEntropy())),
    "Network.__getitem__": (NET.__getitem__, ("dense1",)),
    "Network.to_onnx": (
        lambda path, classes, dtype: NET.to_onnx(path, classes=classes, dtype=dtype),
        ("net.onnx", (), "float32"),
    ),
    "Network.to_torch_state": (NET.to_torch_state, ("net.safetensors",)),
    "Run.__getitem__": (RUN.__getitem__, ("dense1",)),
    "Run.backward": (lambda dy: NET.run(IMAGES).backward(dy), (np.zeros((2, 10)),)),
    "Dataset.split": (DATA.split, (0.1, 0)),
    "Augment.from_text": (pg.Augment.from_text, ("flip",)),
    "Augment.apply": (pg.Augment(shift=1).apply, (IMAGES,)),
    "checkpoint.save": (pg.checkpoint.save, ("net.safetensors", NET)),
    "checkpoint.load": (pg.checkpoint.load, ("net.safetensors",)),
}
NEEDED: dict[str, dict[str, Any]] = {
    "Conv": {"filters": 2},
    "Dense": {"units": 2},
    "Add": {"layer": "relu1"},
    "GroupNorm": {"groups": 2},
    "Uniform": {"limit": 0.5},
}
KINDS = [
    kind
    for family in (Layer, Start, Loss, Optimiser, Schedule, pg.Augment)
    for kind in family.kinds().values()
    if kind.__module__.startswith("plaingrad.")
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some names of files may be right."""
    monkeypatch.chdir(tmp_path)


def answer(call: Callable[..., Any], *given: Any) -> None:
    """Make a call: it may go well, or be refused in one line; an index beyond the end is Python's own."""
    try:
        call(*given)
    except pg.PlaingradError as error:
        told = str(error)
    except IndexError:
        if call != NET.__getitem__:
            raise
        return
    else:
        return
    assert told
    assert "\n" not in told


def test_every_public_function_has_a_row() -> None:
    functions = {name for name in pg.__all__ if inspect.isfunction(getattr(pg, name))}
    assert functions - {"digits"} <= ROWS.keys()  # which takes nothing


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("who", ROWS)
def test_what_a_function_cannot_take_is_told_in_one_line(who: str) -> None:
    call, right = ROWS[who]
    for place, wrong in itertools.product(range(len(right)), WRONG.values()):
        answer(call, *right[:place], wrong, *right[place + 1 :])


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_setting_cannot_be_is_told_in_one_line(kind: Any) -> None:
    for each, wrong in itertools.product(fields(kind), WRONG.values()):
        answer(functools.partial(kind, **(NEEDED.get(kind.__name__, {}) | {each.name: wrong})))


NAMED: dict[str, functools.partial[Any]] = {
    "Trainer": functools.partial(pg.Trainer, NET, DATA),
    "find_rate": functools.partial(pg.find_rate, NET, DATA),
    "evaluate": functools.partial(pg.evaluate, NET, DATA),
    "predict": functools.partial(pg.predict, NET, IMAGES),
    "check": functools.partial(pg.check, pg.Dense(2), (4,)),
    "Network.run": functools.partial(NET.run, IMAGES, LABELS),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("who", NAMED)
def test_what_a_named_setting_cannot_be_is_told_in_one_line(who: str) -> None:
    call = NAMED[who]
    taken = inspect.signature(call).parameters.values()
    names = [each.name for each in taken if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]
    given = {*call.keywords} | {*[*inspect.signature(call.func).parameters][: len(call.args)]}
    for name, wrong in itertools.product([each for each in names if each not in given], WRONG.values()):
        answer(functools.partial(call, **{name: wrong}))
