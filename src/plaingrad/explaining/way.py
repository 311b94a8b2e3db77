"""The error's way, from a gradient or an error back to the loss: what a page of a part of a network must hold first."""

from plaingrad.explaining.terms import summands
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.words import role


def way_back(tracer: Tracer, cell: int) -> list[int]:
    """The cells from one to the loss, as the page walks them: the next is the error in the largest term.

    Where a term has none, it goes on by what else the way back made, as a normalisation's means of errors. The cell
    alone where it is neither a gradient nor an error.
    """
    way, run = [cell], tracer.twin.twin
    while True:
        sheet = tracer.twin.sheet_of(way[-1])
        making = tracer.making(sheet)
        if making is None or sheet.name not in tracer.makings or not _is_of_the_way_back(tracer, way[-1]):
            return way
        terms = [node for node, _ in summands(tracer.number(way[-1]))]
        if not terms or making.layer == "loss" or len(way) > len(run.records) * len(tracer.twin.sheets):
            return way
        used = max(terms, key=lambda node: abs(node.value)).cells()
        errors = [each for each in used if role(tracer.twin, tracer.twin.sheet_of(each)) == "error"]
        errors += [each for each in used if _is_of_the_way_back(tracer, each)]
        if not errors:
            return way
        way.append(errors[0])


def _is_of_the_way_back(tracer: Tracer, cell: int) -> bool:
    """Whether a text of the way back made a number."""
    making = tracer.makings.get(tracer.twin.sheet_of(cell).name)
    run = tracer.twin.twin
    return making is not None and any(each.text == making.task.text for each in run.passes(making.layer, "backward"))
