"""One self-contained page of a run: everything on it is recorded here, and the page's script only looks it up."""

import gc
import html
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.explaining.alive import Program, program, told_of_program
from plaingrad.explaining.dense import MOST_ENTRIES, as_dense, sums_of
from plaingrad.explaining.facts import (
    class_names,
    class_probabilities,
    first_gradient,
    label,
    layers_told,
    loss_told,
    note,
    partial,
    points_at,
    sheets_shown,
)
from plaingrad.explaining.general import described
from plaingrad.explaining.notation import as_text, spread
from plaingrad.explaining.reasons import of_the_number
from plaingrad.explaining.recording import Patterns, Record, add_terms, blob
from plaingrad.explaining.told import bounds as bounds_told
from plaingrad.explaining.told import is_told
from plaingrad.explaining.traced_numbers import Traced
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet, Twin, single
from plaingrad.explaining.update import State
from plaingrad.explaining.way import way_back
from plaingrad.explaining.words import GLOSSARY, about, role
from plaingrad.network.run import Run
from plaingrad.textbook.notebook import frame
from plaingrad.textbook.record import json_text
from plaingrad.training.checkpoint import page_file, write_safely
from plaingrad.training.report.look import from_page, headed, pages_beside, styled

MOST_TERMS = 4_000_000  # recorded in one page: beyond it the file outgrows 8 MB, and a browser's patience
SLICE_TERMS = 400_000
LARGE = 50_000  # numbers: of an array so large a slice holds only those that are met


class Page:
    """A page to click through: `page.save("page.html")`, or left to a notebook to show.

    Of several images it shows one. `opens` is the number asked for; without one the whole network is shown first, and
    `begins` explained below it. `command`, with a name behind it, explains a number of this run.
    """

    def __init__(
        self,
        run: Run,
        state: State | None = None,
        *,
        image: int = 0,
        opens: str | None = None,
        begins: str = "",
        command: str = "",
        title: str = "",
        classes: Iterable[str] = (),
    ) -> None:
        self.run, self.classes = single(run, image), [str(each) for each in classes]
        self.tracer = Tracer(Twin(self.run), state)
        self.twin = self.tracer.twin
        self.alive = self._program()
        self.title = title or f"{self.run.net.name} on one image"
        self.opens = None if opens is None else self.twin.name(self.twin.cell(opens))
        self.patterns, self.reasons = Patterns(), Patterns()
        self.reasons.list = []
        self.records: dict[str, Record] = {}
        self.told: set[str] = set()
        self.begins, self.command, self._html = begins, command, ""

    def _program(self) -> Program | None:
        """The run as a program that the page can run again; None where it is too large, or says what no page can."""
        try:
            return program(self.twin)
        except SettingError:
            return None

    def __repr__(self) -> str:
        return f"<Page: {self.title}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        told = (
            f"{self!r}. A notebook shows it once it is trusted (JupyterLab's command palette: Trust Notebook); "
            "page.save('page.html') writes it to a file"
        )
        return {"text/plain": told, "text/html": frame(self.title, self.html(), told)}

    def save(self, path: str | Path, report: Path | None = None) -> None:
        """Write the page, whole or not at all; it links to the pages beside it, and to the `report` of its training."""
        place = page_file(path, "page.html")
        linked = headed("page.html", pages_beside(place), from_page(place, report) if report else None)
        write_safely(place, self.html().replace(headed("page.html"), linked, 1).encode())

    def html(self) -> str:
        """The page as one file: style, script and record in it."""
        if not self._html:
            here = files("plaingrad.explaining")
            page = (here / "page.html").read_text("utf-8")
            names = sorted(each.name for each in here.iterdir())
            style, script = (
                "\n".join((here / name).read_text("utf-8") for name in names if name.endswith(kind))
                for kind in (".css", ".js")
            )
            data = json_text(self.data()).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
            texts = self.alive.source() if self.alive else "[]"
            parts = {"/*TEXTS*/": texts, "/*STYLE*/": styled(style), "/*SCRIPT*/": script, '"DATA"': data}
            parts |= {"{{TITLE}}": html.escape(self.title), "<!--HEADER-->": headed("page.html")}
            for mark, part in parts.items():
                before, found, after = page.partition(mark)
                assert found, mark
                page = before + part + after
            self._html = page
        return self._html

    def data(self) -> dict[str, Any]:
        """The record that the page shows."""
        products = sum(step.layer.multiplications(step.x) for step in self.twin.net.steps.values())
        is_slice = 3 * products > MOST_TERMS
        if is_slice and self.opens is None:
            raise SettingError(
                f"a page of {self.run.net.name} would hold some {3 * products:,} terms, and a browser can take "
                f"{MOST_TERMS:,}; ask for a slice of it: name the number it is to begin with, "
                'such as "conv1.dw[0,0,0,0]"'
            )
        was_on = gc.isenabled()
        gc.disable()  # millions of small objects, none of them in a circle
        try:
            values = np.zeros(self.twin.size)
            for sheet in self.twin.in_order:
                values[sheet.start : sheet.stop] = sheet.values()
            arrays = self._slice(values) if is_slice else self._whole(values)
        finally:
            if was_on:
                gc.enable()
        return self._head(arrays, values, is_slice)

    def _whole(self, values: Array) -> dict[str, Any]:
        """Every array with all its terms."""
        arrays: dict[str, Any] = {}
        sheets = sheets_shown(self.tracer)
        for sheet in sorted(sheets, key=lambda each: each.quantity != "winner"):  # others ask who won
            if self.tracer.is_given(sheet):
                arrays[sheet.name] = self._array(sheet, None, None)
                continue
            if self.alive and is_told(self.tracer, sheet):
                self.told.add(sheet.name)
                arrays[sheet.name] = self._array(sheet, None, None)
                continue
            made = self.tracer.held[sheet.name] = self.tracer.whole(sheet)
            arrays[sheet.name] = self._traced(sheet, dict(enumerate(made.reshape(-1), sheet.start)), values)
            if sheet.name == sums_of(self.tracer, sheet.layer):
                arrays[sheet.name]["dense"] = self._dense(sheet, made)
            if sheet.quantity != "winner":
                del self.tracer.held[sheet.name]
        return {sheet.name: arrays[sheet.name] for sheet in sheets}

    def _slice(self, values: Array) -> dict[str, Any]:
        """The number the page opens with, its error's way, and what it leads to, nearest first: terms enough."""
        assert self.opens is not None
        way, count = way_back(self.tracer, self.twin.cell(self.opens)), 0  # for the way there is always room
        queue = [*way]
        nodes: dict[int, Traced] = {}
        while queue and count < SLICE_TERMS:
            cell = queue.pop(0)
            if cell in nodes or self.tracer.is_given(self.twin.sheet_of(cell)):
                continue
            nodes[cell] = node = self.tracer.number(cell, holds=True)
            used = node.cells()
            count, queue = count + (cell not in way) * (len(used) + 200), queue + list(dict.fromkeys(used))[:200]
        met = {each for node in nodes.values() for each in node.cells()} | nodes.keys()
        arrays: dict[str, Any] = {}
        for sheet in sheets_shown(self.tracer):
            if sheet.size > LARGE:
                left_out = np.array([cell not in met for cell in range(sheet.start, sheet.stop)])
                values[sheet.start : sheet.stop][left_out] = np.nan
            own = {cell: node for cell, node in nodes.items() if sheet.start <= cell < sheet.stop}
            if own:
                arrays[sheet.name] = self._traced(sheet, own, values) | {"held": [cell - sheet.start for cell in own]}
            else:
                arrays[sheet.name] = self._array(sheet, None, None)
        return arrays

    def _traced(self, sheet: Sheet, nodes: dict[int, Traced], values: Array) -> dict[str, Any]:
        """An array with the terms of those of its numbers that were traced."""
        terms = self.records[sheet.name] = Record()
        reasons = Record()
        for cell in range(sheet.start, sheet.stop):
            if cell in nodes:
                values[cell] = nodes[cell].value
                self._add(sheet, nodes[cell], terms, reasons)
            else:
                terms.counts.append(0)
                reasons.counts.append(0)
        return self._array(sheet, terms, reasons)

    def _add(self, sheet: Sheet, node: Traced, terms: Record, reasons: Record) -> None:
        add_terms(terms, node, self.patterns)
        told = of_the_number(self.tracer, sheet, node)
        found = list({(each.pattern, each.cells): each for each in told}.values())
        reasons.counts.append(len(found))
        for each in found:
            made = {"text": each.pattern, "arity": len(each.cells), "kind": each.kind}
            reasons.patterns.append(self.reasons.number(each.pattern, made))
            reasons.refs += each.cells

    def _array(self, sheet: Sheet, terms: Record | None, reasons: Record | None) -> dict[str, Any]:
        making = self.tracer.making(sheet)
        formula = None
        told = sheet.name in self.told
        if terms is not None or told:
            tree, letters = described(self.tracer, sheet)
            formula = {"math": spread(tree), "text": as_text(tree), "letters": letters}
        return {
            "shape": list(sheet.shape),
            "start": sheet.start,
            "role": role(self.twin, sheet),
            "about": f"{about(self.twin, sheet)}.",
            "formula": formula,
            "points_at": points_at(self.tracer, sheet),
            "made_by": making.task.text.__name__ if making else None,
            "terms": "told" if told else terms.to_json() if terms is not None else None,
            "reasons": reasons.to_json() if reasons else None,
        }

    def _dense(self, sheet: Sheet, made: Array) -> dict[str, str] | None:
        """The layer as a matrix, where it is one."""
        x = self.twin.sheets[self.twin.names[f"{sheet.layer}.x"]]
        is_windowed = hasattr(self.twin.net.steps[sheet.layer].layer, "window")
        if not is_windowed or x.size * sheet.size > MOST_ENTRIES:
            return None
        try:
            dense = as_dense(self.tracer, sheet.layer, made)
        except SettingError:
            return None
        if not self.twin.net.steps[sheet.layer].weights and dense.distinct > 1:
            return None
        told = "Each output is a sum over inputs, so this layer is a fully connected one with most weights zero and the others used many times."  # noqa: E501
        return {"about": told, "check": dense.check}

    def _bounds(self, values: Array, run: Array) -> Array:
        """How far rounding may take the run's numbers from these, where they are sums of products of two."""
        dtype = self.run.net.dtype
        unit = float(np.finfo(np.float64 if dtype.hasobject else dtype).eps) / 2
        bounds, away = np.full(len(values), np.nan), np.zeros(len(values))
        kept = {name: self.twin.run_values(self.twin.sheets[name]) is not None for name in (*self.records, *self.told)}
        for name in sorted(kept, key=kept.__getitem__):  # what the run keeps nowhere first: others are made of it
            sheet = self.twin.sheets[name]
            part = slice(sheet.start, sheet.stop)
            if name in self.told:
                bounds[part] = bounds_told(self.tracer, sheet, values[part], run, away, unit)
            else:
                bounds[part] = self.records[name].bounds(values[part], run, away, unit)
            if not kept[name]:
                run, away[part], bounds[part] = run.copy(), bounds[part], np.nan
                run[part] = values[part]
        return bounds

    def _head(self, arrays: dict[str, Any], values: Array, is_slice: bool) -> dict[str, Any]:
        run, wide = np.full(self.twin.size, np.nan), self.run.net.dtype != np.float32
        for sheet in sheets_shown(self.tracer):
            held = self.twin.run_values(sheet)
            if held is not None:
                run[sheet.start : sheet.stop] = np.where(np.isnan(values[sheet.start : sheet.stop]), np.nan, held)
        last = max(sheet.stop for sheet in sheets_shown(self.tracer))
        layers = layers_told(self.tracer)
        for layer in layers:
            layer["dense"] = arrays.get(layer.get("sums", ""), {}).pop("dense", None)
        return {
            "title": self.title,
            "opens": self.opens or self.begins or first_gradient(self.tracer),
            "command": self.command,
            "is_asked": self.opens is not None,
            "partial": partial(self.opens or "", self.command) if is_slice else None,
            "note": note(self.tracer),
            "classes": class_names(self.tracer, self.classes),
            "label": label(self.tracer),
            "probabilities": class_probabilities(self.tracer),
            "loss": loss_told(self.tracer),
            "layers": layers,
            "arrays": arrays,
            "values": blob(values[:last], "<f8"),
            "run": blob(run[:last], "<f8" if wide else "<f4"),
            "run_digits": 64 if wide else 32,
            "bounds": blob(self._bounds(values, run)[:last], "<f4"),
            "patterns": self.patterns.list,
            "reason_patterns": self.reasons.list,
            "glossary": GLOSSARY,
            "alive": told_of_program(self.twin, self.alive) if self.alive and not is_slice else None,
        }
