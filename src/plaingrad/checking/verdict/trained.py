"""Whether a network with a mistake still learns, as it was measured."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from plaingrad.checking.search.passes import Key


@cache
def measured() -> dict[str, Any]:
    """What training with each mistake came to, as `benchmarks/mistakes.py` measured it."""
    file = files("plaingrad.checking") / "trains.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def trains(id: str, *where: Key) -> str:
    """Whether a network with this mistake still learns, in words; it was measured in one pass, if of another kind."""
    told = measured()
    row = told.get("mistakes", {}).get(id)
    if row is None:
        return ""
    network = told["networks"][row["network"]]
    more = f"; in every update: {learns(row['everywhere'], network)}" if "everywhere" in row else ""
    learned = f"{learns(row['accuracy'], network)}; without the mistake {row['right']:.1%}"
    made = f"measured with the mistake in {row['pass']}{more}; learning rate {network['rate']}; {told['about']}"
    if kind_of(row["pass"]) in [kind_of(".".join(key[1:])) for key in where]:
        return f"{learned} ({made})"
    return f"not measured for this kind of quantity. For another: {learned} ({made})"


def kind_of(name: str) -> str:
    """The kind of a pass by its name: conv.dx; or update, whichever the weight is."""
    layer, _, quantity = name.partition(".")
    return f"{layer.rstrip('0123456789')}.{quantity}" if quantity in ("y", "dx") or quantity[0] == "d" else "update"


def learns(accuracy: float | None, network: dict[str, Any]) -> str:
    """Whether a network learned, beside what right ones reach from many seeds, and what they reach untrained."""
    if accuracy is None:
        return "no: its numbers became infinite or NaN"
    if accuracy > max(network["right"]):
        return f"yes, {accuracy:.1%}, even better: accuracy does not show it"
    if accuracy >= min(network["right"]):
        return f"yes, {accuracy:.1%}: accuracy does not show it"
    return f"{'worse' if accuracy > max(network['untrained']) else 'no'}, {accuracy:.1%}"
