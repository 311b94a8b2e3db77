"""Where any number of a run comes from: its terms, its formula, the reason for each branch, and a page of all."""

import hashlib
from typing import Any

from plaingrad.errors import SettingError
from plaingrad.network.run import Run

__all__ = ["explain", "tracer_of"]


def tracer_of(run: Run, state: Any = None) -> Any:
    """The tracer of a run, kept until the run, its network or the optimiser's `State` changes."""
    from plaingrad.explaining.tracing import Tracer  # nobody who only trains waits for what explains
    from plaingrad.explaining.twin import Twin

    digest = hashlib.blake2b()
    arrays = [run.net.parameters, run.x, *run.given]
    for array in arrays:
        digest.update(array.tobytes() if not array.dtype.hasobject else repr(array.tolist()).encode())
    key = digest.hexdigest(), state and (state.optimiser, state.step, state.factor, [*map(id, state.slots.values())])
    if run.explained is None or run.explained[0] != key:
        run.explained = key, Tracer(Twin(run), state)
    return run.explained[1]


def explain(run: Run, quantity: str | None = None, optimiser: Any = None) -> Any:
    """Where a number of a run comes from, such as `conv1.dw[0,0,1,2]`; without a quantity, a page of the whole run.

    `conv1.w_after[0,0,1,2]` is the weight after one step of `optimiser` (SGD with momentum unless told); a
    `plaingrad.explaining.update.State` says what it carries from the steps before. SettingError where there is no such
    number.
    """
    from plaingrad.explaining.explanation import explain_cell
    from plaingrad.explaining.page import Page
    from plaingrad.explaining.update import State
    from plaingrad.textbook.optimisers import Optimiser

    if not isinstance(run, Run):
        raise SettingError(
            f"explain got {str(run)[:60]!r}; it takes a run of a network: explain(net.run(images, labels))"
        )
    if quantity is not None and not isinstance(quantity, str):
        raise SettingError(f"explain got {quantity!r}; a number is named by a text, such as 'conv1.dw[0,0,1,2]'")
    if optimiser is not None and not isinstance(optimiser, Optimiser | State):
        raise SettingError(f"explain got optimiser={optimiser!r}; it needs an optimiser, such as SGD(rate=0.1)")
    state = State(optimiser) if isinstance(optimiser, Optimiser) else optimiser
    if quantity is None:
        return Page(run, state)
    tracer = tracer_of(run, state)
    return explain_cell(tracer, tracer.twin.cell(quantity), quantity)


Run.explain = explain
