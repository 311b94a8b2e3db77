"""Why a number is what it is: the comparisons its loops made, in sentences."""

from collections.abc import Iterator
from math import prod

from plaingrad.explaining.notation import SIGNS_SHOWN, number_text
from plaingrad.explaining.reason import Reason, reason
from plaingrad.explaining.reasons_of_layers import of_layers
from plaingrad.explaining.traced_numbers import CELL, NAMED, NUMBER, Comparison, Traced
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.textbook.layers import LeakyReLU, ReLU

MOST_NAMED = 8


def sentences(tracer: Tracer, cell: int, node: Traced) -> list[Reason]:
    """The reasons of a traced number: its own comparisons, then those behind factors that are zero by choice."""
    sheet = tracer.twin.sheet_of(cell)
    found = [*of_the_number(tracer, sheet, node)]
    found += [*of_the_output(tracer, sheet, node), *of_settings(tracer, node)]
    found += of_zero_factors(tracer, sheet, node)
    return list(dict.fromkeys(found))


def of_the_number(tracer: Tracer, sheet: Sheet, node: Traced) -> Iterator[Reason]:
    """The reasons that lie with a number itself, which a page holds for each of its numbers."""
    yield from of_comparisons(tracer, sheet, node, node.why)
    yield from of_the_edge(tracer, sheet, node)
    yield from of_layers(tracer, sheet, node)


def of_comparisons(tracer: Tracer, sheet: Sheet, node: Traced, compared: tuple[Comparison, ...]) -> Iterator[Reason]:
    """Sentences about the comparisons that were kept with a number."""
    found = [each for each in compared if not is_idle(each)]
    if found and all(each.sign == "==" for each in found):
        yield from of_winners(tracer, sheet, found)
    elif found and all(each.left.op is CELL and each.right.op is CELL for each in found):
        yield from of_largest(tracer, sheet, node, found)
    else:
        for each in found:
            yield of_threshold(tracer, sheet, node, each)


def is_idle(comparison: Comparison) -> bool:
    """Whether a comparison says nothing: a number with itself, unless it is not a number."""
    same = comparison.left.op is CELL and comparison.right.op is CELL and comparison.left.left == comparison.right.left
    return same and comparison.left.value == comparison.left.value


def of_threshold(tracer: Tracer, sheet: Sheet, node: Traced, comparison: Comparison) -> Reason:
    """A number compared with another: most often an activation that asks for the sign."""
    making = tracer.making(sheet)
    sign, right = SIGNS_SHOWN[comparison.truth], number_text(comparison.right.value)
    activation = making.task.owner if making and isinstance(making.task.owner, ReLU | LeakyReLU) else None
    more: dict[str, tuple[str, str]] = {}
    cells: tuple[int, ...] = ()
    if comparison.left.op is CELL:
        held, cells = "{0}", (comparison.left.left,)
    else:
        held = "the sum of its terms{sum}"
        more = {"sum": ("", f" is {number_text(comparison.left.value)}")}
    if comparison.right.op is CELL:
        right = f"{{{len(cells)}}}"
        cells = (*cells, comparison.right.left)
    if comparison.left.value != comparison.left.value:
        more["sum"] = ("", "")
        return reason(tracer, "branch", f"{held} is not a number: it passes, so that it is noticed", *cells, **more)
    if activation is None:
        return reason(tracer, "branch", f"{held} {sign} {right}", *cells, **more)
    name = type(activation).__name__
    what = "error" if sheet.quantity.startswith("d") else "number"
    if comparison.truth == "<=":
        slope = getattr(activation, "slope", 0)
        then = f"the {what} is multiplied by {number_text(slope)}" if slope else f"the {what} becomes 0"
    else:
        then = f"the {what} passes unchanged"
    state = "off" if comparison.truth == "<=" else "on"
    return reason(tracer, "branch", f"this {name} was {state}, because {held} {sign} {right}: {then}", *cells, **more)


def of_largest(tracer: Tracer, sheet: Sheet, node: Traced, found: list[Comparison]) -> Iterator[Reason]:
    """A search for the largest: who won, against whom, and what a tie does."""
    met = list(dict.fromkeys(each for one in found for each in (one.right.left, one.left.left)))
    best = max(met, key=lambda cell: tracer.twin.value(cell))  # the first of equals
    nans = [each for each in met if tracer.twin.value(each) != tracer.twin.value(each)]
    if nans:
        yield reason(
            tracer, "branch", "{0} is not a number, and NaN counts as the maximum so that it is noticed", nans[-1]
        )
        return
    arrays = list(dict.fromkeys(tracer.twin.sheet_of(each).name for each in met))
    if len(arrays) > 1:
        for name in arrays:
            own = [each for each in met if tracer.twin.sheet_of(each).name == name]
            yield reason(tracer, "branch", f"{{0}} is the largest of {name}", max(own, key=tracer.twin.value))
        return
    others = [each for each in met if each != best]
    named = others[:MOST_NAMED]
    against = ", ".join(f"{{{1 + place}}}" for place in range(len(named)))
    more = f" and {len(others) - len(named)} more" if len(others) > len(named) else ""
    making = tracer.making(sheet)
    if making is not None and "window" in making.task.seen:
        yield reason(
            tracer, "branch", f"{{0}} is the maximum of this window, which also has {against}{more}", best, *named
        )
    else:
        after = "; it is subtracted first, so that no exponential overflows"
        yield reason(
            tracer, "branch", f"{{0}} is the largest score; the others are {against}{more}{after}", best, *named
        )
    equal = [each for each in others if tracer.twin.value(each) == tracer.twin.value(best)]
    if equal:
        yield reason(tracer, "tie", "tie: {0} is as large as {1}; the first in reading order is taken", best, equal[0])


def of_winners(tracer: Tracer, sheet: Sheet, found: list[Comparison]) -> Iterator[Reason]:
    """Windows that asked whether this pixel won them, each with why."""
    for each in found:
        winner = each.left
        if winner.op is not CELL:
            continue
        own = tracer.twin.sheet_of(winner.left)
        columns = sheet.shape[-1] if sheet.shape else 1
        row, column = divmod(int(winner.value), columns)
        window = "window (" + ",".join(map(str, own.index(winner.left)[-2:])) + ")"
        more = {"window": (window, window), "place": ("", f", which is row {row}, column {column}")}
        if each.outcome:
            pattern = "this pixel is the maximum of {window}, so it gets the whole error of the window: {0}{place}"
        else:
            pattern = "{window} contains this pixel, but another pixel is its maximum: {0}{place}"
        yield reason(tracer, "branch", pattern, winner.left, **more)
        traced = tracer.number(winner.left)
        yield from of_comparisons(tracer, own, traced, traced.reasons)


def of_the_edge(tracer: Tracer, sheet: Sheet, node: Traced) -> Iterator[Reason]:
    """Windows that overhang the image, and numbers that no window reaches."""
    making = tracer.making(sheet)
    step = tracer.twin.net.steps.get(making.layer) if making else None
    window = making.task.seen.get("window") if making else None
    if step is None or window is None:
        return
    if sheet.quantity in ("dy", "dx"):
        if not node.why and not node.cells():
            told = f"no window of {step.name} contains this number, so it does not affect the loss: its error is 0"
            yield reason(tracer, "note", told)
        return
    if sheet.quantity not in ("y", "z") or not window.may_overhang:
        return
    x = tracer.twin.names[f"{step.name}.x"]
    asked = [node, *(each for one in node.why for each in (one.left, one.right))]
    met = {cell for each in asked for cell in each.cells() if tracer.twin.sheet_of(cell).name == x}
    is_conv = "w" in step.weights
    whole = prod(step.weights["w"].shape[1:]) if is_conv else prod(window.size)
    if whole > len(met):
        effect = "where the padding is 0: they contribute nothing" if is_conv else "and are ignored"
        told = f"{whole - len(met)} of the {whole} positions of the window lie outside the image, {effect}"
        yield reason(tracer, "padding", told)


def of_the_output(tracer: Tracer, sheet: Sheet, node: Traced) -> Iterator[Reason]:
    """Why an output was 0 that an activation asked about on the way back: what went into it."""
    for each in node.why if len(node.why) == 1 else ():
        if each.left.op is CELL and each.left.value == 0 and each.sign != "==":
            traced = (
                tracer.number(each.left.left) if not tracer.is_given(tracer.twin.sheet_of(each.left.left)) else None
            )
            if traced is not None:
                yield from of_comparisons(tracer, tracer.twin.sheet_of(each.left.left), traced, traced.why)


def of_settings(tracer: Tracer, node: Traced) -> Iterator[Reason]:
    """The optimiser's numbers, by name."""
    named = dict.fromkeys((each.left, each.value) for each in node.nodes() if each.op is NAMED)
    if named:
        told = ", ".join(f"{name} = {number_text(value)}" for name, value in named)
        yield reason(tracer, "note", f"with {told}")


def of_zero_factors(tracer: Tracer, sheet: Sheet, node: Traced) -> Iterator[Reason]:
    """How many of the errors a sum adds up were stopped by an activation, with the first of them."""
    cells = dict.fromkeys(node.cells())
    by_sheet: dict[str, list[int]] = {}
    for each in cells:
        other = tracer.twin.sheet_of(each)
        if other.quantity == "dz" and other.name != sheet.name:
            by_sheet.setdefault(other.name, []).append(each)
    for name, errors in by_sheet.items():
        stopped = [each for each in errors if tracer.twin.value(each) == 0]
        for first in stopped:
            traced = tracer.number(first)
            if traced.op is NUMBER and traced.reasons:
                count = f"{len(stopped)} of {len(errors)}" if len(errors) > 1 else "the"
                why = next(of_comparisons(tracer, tracer.twin.sheet_of(first), traced, traced.reasons))
                be = "is" if len(errors) == 1 else "are"
                note = (
                    f"{count} errors {name} {be} 0 because the activation was off there"
                    if len(errors) > 1
                    else f"{name} is 0 here"
                )
                lead = "; the first" if len(stopped) > 1 else ""
                yield Reason("branch", f"{note}{lead}: {why.pattern}", why.cells, f"{note}{lead}: {why.text}")
                break
