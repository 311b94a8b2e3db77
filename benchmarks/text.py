"""A row in words and figures: times, ratios and shares as people read them."""

from collections.abc import Sequence
from typing import Any

from timing import THEIRS, Row
from works import BASE


def said(row: Row) -> str:
    """A row in one line, for whoever watches."""
    if row.get("ours_seconds") is None:
        return f"{row['work']}: {row['unable']}"
    facts = [name_of(row), *([threads_of(row["threads"])] if "threads" in row else [])]
    facts.append(time_of(row["ours_seconds"], row.get("ours_spread")))
    facts += [f"{name} {time_of(seconds)}" for name, seconds in row.get("peers", {}).items()]
    facts += [f"ratio {row['ratio']:.2f}"] if row.get("ratio") else []
    facts += [f"gain {row['gain']:.2f}"] if "gain" in row else []
    facts += [f"{share_of(row)} of peak"] if row.get("peak_share") else []
    return ", ".join(facts + [f"{name}: {reason}" for name, reason in row.get("unable", {}).items()])


def table(head: Sequence[Any], lines: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in rows)


def time_of(seconds: float, least_and_most: Sequence[float] | None = None) -> str:
    """A time in the unit that suits it, and its spread in the same."""
    factor, unit = next((each for each in ((1, "s"), (1e3, "ms")) if seconds * each[0] >= 1), (1e6, "µs"))
    spread = f" ({'–'.join(digits(each * factor) for each in least_and_most)})" if least_and_most else ""
    return f"{digits(seconds * factor)} {unit}{spread}"


def name_of(row: Row) -> str:
    """Which work it is; of a convolution, what is not as in the base."""
    if "setting" in row:
        own = [f"{name} {value}" for name, value in row["setting"].items() if value != BASE[name]]
        return " and ".join(own) or "the base"
    return f"{row['work']}, batch {row['batch']}" if "batch" in row else str(row["work"])


def threads_of(count: int) -> str:
    """So many threads."""
    return "1 thread" if count == 1 else f"{count} threads"


def time_and_spread(row: Row) -> str:
    """Our time."""
    return time_of(row["ours_seconds"], row["ours_spread"])


def best_of(row: Row) -> str:
    """The best PyTorch's time, and which it is."""
    best = row["best"]
    if not best:
        return "–"
    return f"{time_of(row['peers'][best], row['peers_spread'][best])}, {best.removeprefix(THEIRS).strip()}"


def ratio_of(row: Row) -> str:
    """Its time over ours."""
    return f"{row['ratio']:.2f}" if row["ratio"] else "–"


def share_of(row: Row) -> str:
    """Our share of the machine's peak."""
    return f"{row['peak_share']:.0%}" if row.get("peak_share") else "–"


def nanoseconds(value: float | None) -> str:
    """Three digits of a number of nanoseconds."""
    return f"{value:.3g}" if value else "–"


def digits(value: float) -> str:
    """Three digits or so."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def mebibytes(count: float) -> str:
    """An amount of memory."""
    return f"{count / 2**20:.0f} MiB"


def accuracies(shares: list[float], asked: float) -> str:
    """From the least to the greatest, and whether one falls short of what was asked."""
    short = "" if min(shares) >= asked else f", not always {asked:.1%}"
    return f"{min(shares):.2%} to {max(shares):.2%}{short}"
