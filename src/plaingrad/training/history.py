"""What a training returns: a list with an entry for each epoch, which a notebook shows as curves and a table."""

from collections.abc import Iterator
from typing import Any

from plaingrad.textbook.notebook import curves, table

MOST_SHOWN = 10  # epochs in the table: the last ones
FIGURES = {
    "train_loss": ".4f",
    "train_accuracy": ".4f",
    "validation_loss": ".4f",
    "validation_accuracy": ".4f",
    "rate": ".3g",
    "images_per_second": ",.0f",
}


class History(list[dict[str, Any]]):
    """A list of dicts, one an epoch, as JSON has them. At the end of a notebook's cell it is curves and a table."""

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no epoch is done yet</p>"
        return "".join([*self._pictures(), self._table()])

    def _pictures(self) -> Iterator[str]:
        for what in ("loss", "accuracy"):
            names = [name for name in (f"train_{what}", f"validation_{what}") if name in self[-1]]
            series = {name.split("_")[0]: [float(entry.get(name, float("nan"))) for entry in self] for name in names}
            yield curves(f"{what}, {len(self):,} epoch{'' if len(self) == 1 else 's'}", series)

    def _table(self) -> str:
        names = [name for name in FIGURES if any(name in entry for entry in self)]
        rows = [["epoch", *(name.replace("_", " ") for name in names)]]
        for entry in self[-MOST_SHOWN:]:
            figures = (format(entry[name], FIGURES[name]) if name in entry else "" for name in names)
            rows.append([str(entry["epoch"]), *figures])
        before = f"<p>the last {MOST_SHOWN} epochs:</p>" if len(self) > MOST_SHOWN else ""
        return before + table(rows, left=0)
