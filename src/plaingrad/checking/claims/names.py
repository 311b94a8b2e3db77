"""What the names of a claim mean in a run: `dw[0,0]`, `dconv1.w[0,0]` and `conv1.dw[0,0,0,0]` can be one number."""

import itertools

from plaingrad.checking.claims.text import LOSSES
from plaingrad.errors import SettingError, nearest
from plaingrad.explaining.twin import INPUT, Sheet, Twin
from plaingrad.textbook.phrases import shape_text

Place = tuple[int, ...]


class BeyondError(SettingError):
    """A place that an array does not have."""


class Names:
    """The arrays of a run as a claim names them; where the layer is left out, those of the layer it is about."""

    def __init__(self, twin: Twin) -> None:
        self.twin, self.layer, self.about = twin, "", ""
        self.names = {
            name: sheet
            for name, sheet in twin.names.items()
            if name == INPUT or name.partition(".")[2] in twin.twin.records[name.partition(".")[0]]
        }
        self.readings: dict[str, str] = {}  # what was left to be understood, and how it was
        self.went_beyond = False  # a sum had terms beyond the edge of an array, which are none
        self.known: dict[tuple[str, int], Sheet] = {}
        self.places: dict[tuple[str, Place], Place | None] = {}

    def asked(self, name: str, count: int) -> Sheet:
        """The array that the left side names, with so many indices; from then on a claim is about its layer."""
        whole = self._whole(name, count)
        self.layer, self.about = whole.partition(".")[0], self.names[whole]
        return self._counted(self.twin.sheets[self.about], count)

    def sheet(self, name: str, count: int) -> Sheet:
        """The array that a name means, with so many indices. SettingError where it could be several, or is none."""
        if (name, count) not in self.known:
            self.known[name, count] = self._counted(self.twin.sheets[self.names[self._whole(name, count)]], count)
        return self.known[name, count]

    def _whole(self, name: str, count: int) -> str:
        if name in self.names:
            return name
        layer, dot, quantity = name.removeprefix("d").partition(".")
        if dot and name[:1] == "d" and f"{layer}.d{quantity}" in self.names:
            return f"{layer}.d{quantity}"
        if dot:
            sheet, _ = self.twin.sheet_named(name)  # says in its own words what is wrong with the name
            raise SettingError(
                f"{sheet.name} belongs to the optimiser; a claim is about values and gradients of the run"
            )
        if name in LOSSES:
            return "loss.y"
        if name in self.twin.twin.records:
            self.twin.sheet_named(name)
        return self._of_some_layer("dx" if name == "dinput" else name, count, name == "dinput")

    def _of_some_layer(self, quantity: str, count: int, is_first: bool) -> str:
        owners = [layer for layer in self.twin.twin.records if f"{layer}.{quantity}" in self.names]
        owners = [each for each in owners if each != "loss"] or owners
        if not owners:
            every = {each.partition(".")[2] or each for each in self.names} | self.twin.twin.records.keys()
            raise SettingError(
                f"the claim names {quantity[:40]!r}, which the run does not have; {nearest(quantity[:40], every)}"
            )
        first = next(iter(self.twin.twin.records))
        if is_first or (quantity in ("x", "dx") and not self.layer):
            return f"{first}.{quantity}"
        by_sheet: dict[str, str] = {}
        for owner in owners:
            by_sheet.setdefault(self.names[f"{owner}.{quantity}"], f"{owner}.{quantity}")
        fitting = {sheet: whole for sheet, whole in by_sheet.items() if self.fits(self.twin.sheets[sheet], count)}
        fitting = {sheet: whole for sheet, whole in fitting.items() if sheet != self.about} or fitting
        chosen = f"{self.layer}.{quantity}"
        if self.layer not in owners or self.names[chosen] not in fitting:
            chosen, *others = (fitting or by_sheet).values()
            if others:
                raise SettingError(f"{quantity} could be {' or '.join([chosen, *others])}; name the layer too")
        if len(by_sheet) > 1:
            self.readings[quantity] = chosen
        return chosen

    def fits(self, sheet: Sheet, count: int) -> bool:
        """Whether so many indices can name a place: axes of length 1 may be left out, a lone image may be named."""
        ones = sheet.shape.count(1)
        return len(sheet.shape) - ones <= count <= len(sheet.shape) + self._may_name_image(sheet)

    def _may_name_image(self, sheet: Sheet) -> bool:
        return self.twin.count == 1 and self.twin.twin.has_images(sheet.layer, sheet.quantity)

    def _counted(self, sheet: Sheet, count: int) -> Sheet:
        """The array, where so many indices can name a place in it; SettingError where they cannot."""
        if not self.fits(sheet, count):
            shape = shape_text(sheet.shape)
            got = f"{count} {'index' if count == 1 else 'indices'}"
            raise SettingError(f"{sheet.name} got {got}; it is {shape}, and {self.twin.described(sheet)}")
        return sheet

    def place(self, name: str, sheet: Sheet, index: Place) -> Place:
        """The whole place that an index means, of an array named so; SettingError for a wrong count."""
        if (sheet.name, index) not in self.places:
            self.places[sheet.name, index] = self._place(self._counted(sheet, len(index)), index)
        place = self.places[sheet.name, index]
        if place is None:
            raise BeyondError(
                f"{name}[{','.join(map(str, index))}] is out of range; {self.twin.described(sheet)}. Places are "
                "counted from 0"
            )
        return place

    def _place(self, sheet: Sheet, index: Place) -> Place | None:
        """Axes that are left out are of length 1, so whichever those are, at most one place comes of it."""
        if len(index) > len(sheet.shape):
            return self._place(sheet, index[1:]) if not index[0] else None
        ones = [axis for axis, length in enumerate(sheet.shape) if length == 1]
        for left_out in itertools.combinations(ones, len(sheet.shape) - len(index)):
            given = iter(index)
            whole = tuple(0 if axis in left_out else next(given) for axis in range(len(sheet.shape)))
            if all(0 <= at < length for at, length in zip(whole, sheet.shape, strict=True)):
                return whole
        return None

    def lengths(self, sheet: Sheet, count: int) -> Place:
        """How long the axes are that so many indices stand for."""
        shape = (1, *sheet.shape) if count > len(sheet.shape) else sheet.shape
        left_out, lengths = len(shape) - count, []
        for length in shape:
            if left_out and length == 1:
                left_out -= 1
            else:
                lengths.append(length)
        return tuple(lengths)
