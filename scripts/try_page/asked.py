"""What the page *Try it* asks of plaingrad, in the browser: JSON in, JSON out, and whatever is wrong is one line."""

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from plaingrad.checking import Case, check_answer, make_case, read_case
from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.verdict.text import headline_text, verdict_text
from plaingrad.cli.check_run import chosen_case
from plaingrad.cli.explain_network import RANDOM, own_network
from plaingrad.cli.explain_run import example
from plaingrad.cli.explained import Explained
from plaingrad.data.pixels import Seen
from plaingrad.errors import PlaingradError, SettingError, visible
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.network import Network

NETWORK, CASE, ANSWER = "network.json", "case.json", "answer.json"  # what was pasted, under the names that errors tell
DEEPEST = 100  # brackets within brackets: of some thousands Python in a browser ends, which cannot be caught
MOST_NEXT = 12  # names to go on with that are offered at once
SOURCE, PROGRAM = "program.txt", "sample_program"  # examples/python/main.py: its text, and as a module


def begin(folder: str, trained: str, program: str) -> None:
    """Work in a folder of its own, where what is pasted is kept; take the sample program and trained networks.

    `trained`, JSON by example, is what the networks keep that are trained: as plain Python that lasts a minute.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    Path(SOURCE).write_text(program, encoding="utf-8")
    sys.dont_write_bytecode = True  # of two programs of one second and size the first one's would be taken
    sys.path.insert(0, folder)
    for name, kept in json.loads(trained).items():
        EXAMPLES[name] = replace(EXAMPLES[name], trained=partial(put, kept))


def put(kept: dict[str, Any], net: Network) -> None:
    """Give a network what it keeps once it is trained."""
    for name, values in kept["arrays"].items():
        getattr(net, name)[:] = values
    net.seen = kept["seen"] and Seen.from_json(kept["seen"])


def pasted(text: str, name: str) -> str:
    """What was pasted, as a file of this name; SettingError where its brackets are too deep to be read."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise SettingError(f"{name} has {deepest:,} brackets within each other; {DEEPEST} can be read: is it complete?")
    Path(name).write_text(text, encoding="utf-8")
    return name


@lru_cache(maxsize=4)
def explained(name: str, network: str) -> Explained:
    """The run of an example, or without a name of the network that the JSON describes, on random pixels."""
    if name:
        return example(name)
    return own_network(pasted(network, NETWORK), RANDOM, None, None, 0)


def explain(example: str, network: str, quantity: str) -> dict[str, Any]:
    """One number explained; without a `quantity` a gradient of the first layer."""
    asked = explained(example, network)
    found = asked.run.explain(quantity.strip() or asked.opens, asked.state)
    onward = list(dict.fromkeys(found.next))[:MOST_NEXT]
    return {
        "quantity": found.quantity,
        "text": found.text(),
        "next": onward,
        "title": asked.title,
        "arrays": asked.overview(),
    }


def page(example: str, network: str, quantity: str) -> dict[str, Any]:
    """The page of all numbers, as HTML."""
    asked = explained(example, network)
    if (images := int((asked.run.index >= 0).sum())) > 1:
        raise SettingError(f"the page shows one image, and {example} has {images}: explain its numbers one by one")
    made = asked.page(quantity.strip() or None)
    return {"html": made.html(), "title": made.title}


def case(kind: str, example: str, network: str, text: str) -> dict[str, Any]:
    """The text of a case: of the network that is chosen, `simple`, the `usual` one, or one that was `pasted`."""
    made = case_of(kind, example, network, text)
    return {"text": text if kind == "pasted" else made.text()}


def case_of(kind: str, example: str, network: str, text: str) -> Case:
    """The same as a case."""
    if kind == "pasted":
        return read_case(pasted(text, CASE))
    if kind != "chosen":
        return make_case(simple=kind == "simple", steps=1)
    asked = {"model": None, "layers": None, "simple": False, "loss": None, "rate": None, "undilated": False}
    return chosen_case(
        **asked,
        network=None if example else pasted(network, NETWORK),
        example=example or None,
        images=None,
        steps=1,
        seed=0,
    )


def sample(old: str, new: str, **of_case: str) -> dict[str, Any]:
    """What the sample program answers to a case, as JSON; with `old` in its text replaced by `new`, if given."""
    told, source = case(**of_case), Path(SOURCE).read_text(encoding="utf-8")
    Path(f"{PROGRAM}.py").write_text(source.replace(old, new) if old else source, encoding="utf-8")
    sys.modules.pop(PROGRAM, None)
    importlib.invalidate_caches()
    program = importlib.import_module(PROGRAM)
    try:
        return {"text": json.dumps(program.answer(json.loads(told["text"])))}
    except program.CaseError as error:
        raise SettingError(f"the sample program: {error}; take another case") from None


def verdict(answer: str, **of_case: str) -> dict[str, Any]:
    """The verdict on an answer to a case."""
    found = check_answer(case_of(**of_case), read_answer(pasted(answer, ANSWER)))
    headline = headline_text(found)
    return {
        "verdict": found.verdict,
        "headline": headline,
        "text": verdict_text(found).removeprefix(headline).lstrip("\n"),
    }


ANSWERS: dict[str, Callable[..., dict[str, Any]]] = {
    "explain": explain, "page": page, "case": case, "sample": sample, "verdict": verdict,
}  # fmt: skip


def answered(asked: str) -> str:
    """What is asked, JSON of `what` and its arguments, answered as JSON; where it cannot be, `error` is one line."""
    told = json.loads(asked)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is no terminal to say them on
            return json.dumps(ANSWERS[told.pop("what")](**told))
    except PlaingradError as error:
        return json.dumps({"error": str(error)})
    except MemoryError:
        return json.dumps({"error": "this browser has not enough memory for it; take a smaller network"})
    except Exception as error:  # a defect: even that is no traceback
        line = visible(" ".join(str(error).split()))
        return json.dumps({"error": f"plaingrad failed ({type(error).__name__}: {line}): please report it"})
