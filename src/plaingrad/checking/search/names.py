"""What an answer's names mean: `conv1.dw`, `step2.conv1.dw`, `step1.conv1.w`, `loss`."""

import re
from difflib import get_close_matches

from plaingrad.checking.case import Case
from plaingrad.checking.search.passes import Key
from plaingrad.network.step import Step

MOST_NOTED = 3  # unknown names that have a note of their own


def known_names(case: Case) -> dict[str, Key]:
    """Every name an answer may use."""
    names: dict[str, Key] = {}
    steps = list(case.net.steps.values())
    starts = {step.layer.skips() for step in steps}
    for t in range(1, len(case.batches) + 1):
        plain: dict[str, Key] = {"loss": (t, "loss", "y"), "loss.y": (t, "loss", "y"), "loss.dx": (t, "loss", "dx")}
        for place, step in enumerate(steps):
            after = steps[place + 1].name if place + 1 < len(steps) else "loss"
            plain |= {f"{step.name}.y": (t, step.name, "y"), f"{step.name}.dx": (t, step.name, "dx")}
            plain[f"{step.name}.dy"] = (t, step.name, "dy") if step.name in starts else (t, after, "dx")
            plain |= {f"{step.name}.dskip": (t, step.name, "dskip")} if step.layer.skips() else {}
            plain |= {f"{step.name}.d{weight}": (t, step.name, "d" + weight) for weight in step.weights}
        if t == 1:
            names |= plain
            names |= {f"{step.name}.{own}": (0, step.name, own) for step in steps for own in kept(step)}
        names |= {f"step{t}.{name}": key for name, key in plain.items()}
        names |= {f"step{t}.{step.name}.{own}": (t, step.name, own) for step in steps for own in kept(step)}
    if case.has_modes:
        trained = len(case.batches) + 1
        names |= {f"step{trained}.{step.name}.y": (trained, step.name, "y") for step in steps}
    return names


def kept(step: Step) -> list[str]:
    """The arrays that a layer keeps from step to step: its weights, and its state."""
    return [*step.weights, *step.state]


def name_of(key: Key) -> str:
    """What a pass's array is called."""
    t, layer, quantity = key
    name = "loss" if (layer, quantity) == ("loss", "y") else f"{layer}.{quantity}"
    if t == 0 or (t == 1 and (layer == "loss" or quantity == "y" or quantity.startswith("d"))):
        return name
    return f"step{t}.{name}"


def plainly(name: str) -> str:
    """A name as it is looked up: in whatever case, with blanks, brackets and slashes as people write them."""
    return re.sub(r"\s|\[\]", "", name).lower().replace("/", ".")


def recognised(given: list[str], case: Case) -> tuple[dict[str, Key], list[str]]:
    """The given names that are known, in whatever case, and a note for each that is not; of many one for the rest."""
    names = known_names(case)
    lower = {name.lower(): name for name in names}
    found = {name: names[lower[plainly(name)]] for name in given if plainly(name) in lower}
    unknown = [name for name in given if name not in found]
    asked = [each for each in lower if names[lower[each]][0] > 0]
    notes = []
    for name in unknown[:MOST_NOTED]:
        plain = plainly(name)
        near = get_close_matches(plain, asked, len(asked))
        near.sort(key=lambda each: sorted(each) != sorted(plain))  # swapped letters before others
        hint = f"; did you mean {lower[near[0]]}?" if near else "; the case lists the names under answer.quantities"
        notes.append(f"{name} is not a quantity of this case and was left out{hint}")
    if left := unknown[MOST_NOTED:]:
        notes.append(f"neither {'is' if len(left) == 1 else 'are'} {', '.join(left)}")
    return found, notes
