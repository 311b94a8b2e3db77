"""What `plaingrad explain` does: the run of a trained network on one of its images, ready to be asked."""

import pathlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from plaingrad.cli.commands import chosen_optimiser, told_of
from plaingrad.cli.data_read import reading_of
from plaingrad.cli.explain_network import RANDOM, own_network
from plaingrad.cli.explained import Explained, class_named
from plaingrad.compiler.loops import Array
from plaingrad.data import load, prepared_image
from plaingrad.data.pixels import look
from plaingrad.errors import CheckpointError, DataError, PlaingradError, SettingError, visible
from plaingrad.explaining.examples import STEP, example_named
from plaingrad.explaining.update import State
from plaingrad.network.network import LANES, Network, lanes_taken
from plaingrad.network.run import Run
from plaingrad.network.step import until_weights
from plaingrad.textbook.optimisers import Optimiser
from plaingrad.textbook.phrases import shape_text
from plaingrad.training.evaluation import output_names
from plaingrad.training.run_folder import kept_images, require_new, saved
from plaingrad.training.shards import lanes_for


def answer(
    words: tuple[str, ...],
    example_name: str | None,
    network: str | None,
    *,
    input: str | None,
    weights: str | None,
    seed: int | None,
    image: str | None,
    label: str | None,
    data_dir: str | None,
    optimiser: str | None,
    rate: float | None,
    page: str | None,
    force: bool,
    symbols: bool,
    mathml: bool,
    all_terms: bool,
    as_json: bool,
) -> Any:
    """What `plaingrad explain` prints: a text, or with `as_json` what becomes one object."""
    is_named = bool(example_name or network)
    if example_name and network:
        raise SettingError("explain takes --example or --network, not both")
    if len(words) > (1 if is_named else 2):
        raise SettingError(
            f"explain takes {'a QUANTITY' if is_named else 'a RUN and a QUANTITY'}, got {' '.join(words)}"
        )
    if not words and not is_named:
        raise SettingError(
            "explain needs a RUN, the folder written by `plaingrad train`, or --example NAME, or --network FILE"
        )
    if example_name and any(each is not None for each in (image, label, data_dir)):
        raise SettingError("an example has its own image: leave out --image, --label and --data-dir")
    if network and any(each is not None for each in (image, data_dir)):
        raise SettingError("--network takes its image from --input: leave out --image and --data-dir")
    if not network and any(each is not None for each in (input, weights, seed)):
        raise SettingError("--input, --weights and --seed are for a network of your own: add --network FILE")
    require_new(page, force)
    quantity = (words[0] if words else None) if is_named else (words[1] if len(words) > 1 else None)
    if network:
        explained = own_network(network, input or RANDOM, label, weights, seed or 0)
    elif example_name:
        explained = example(example_name)
    else:
        explained = trained(words[0], "0" if image is None else image, label, data_dir, None if page else quantity)
    if optimiser or rate is not None:
        chosen = chosen_optimiser(optimiser or "sgd", rate)
        explained = replace(explained, state=State(chosen))
    if page is not None and (images := int((explained.run.index >= 0).sum())) > 1:
        raise SettingError(f"--html writes a page of one image, and {example_name} has {images}: leave out --html")
    if page is not None and (symbols or mathml or all_terms):
        raise SettingError("--html writes a page with all numbers: leave out --symbols, --mathml and --all")
    if page is not None:
        own = {"example": example_name, "network": network, "input": input, "weights": weights, "seed": seed}
        options = own | {"image": image, "label": label, "data-dir": data_dir, "optimiser": optimiser, "rate": rate}
        run = None if is_named else words[0]
        made = replace(explained, command=command(run, options)).page(quantity)
        made.save(page, report_of(run) if run else None)
        size = pathlib.Path(page).stat().st_size
        told = {"page": page, "title": made.title, "bytes": size}
        return told if as_json else f"{visible(page)}: {visible(made.title)}, {size / 1e6:.1f} MB; open it in a browser"
    if quantity is None and (symbols or mathml or all_terms):
        raise SettingError("--symbols, --mathml and --all need one number: name a QUANTITY")
    if quantity is None:
        arrays = explained.overview()
        wide = max(len(each["name"]) for each in arrays)
        lines = (f"  {each['name']:<{wide}} {shape_text(each['shape']):>13}  {each['about']}" for each in arrays)
        hint = "Name one number of one of these arrays, such as " + explained.opens
        return (
            {"title": explained.title, "quantities": arrays}
            if as_json
            else "\n".join([visible(explained.title), *([explained.note] if explained.note else []), *lines, hint])
        )
    if symbols:
        found = explained.symbols(quantity)
        if as_json:
            return {"quantity": found.quantity, "symbols": found.to_json()}
        return found.mathml if mathml else f"{found.quantity} = {found.in_parts}"
    explanation = explained.run.explain(quantity, explained.state)
    if as_json:
        return explanation.to_json()
    return explanation.mathml if mathml else explanation.text(all_terms)


def command(run: str | None, options: Mapping[str, object]) -> str:
    """What explains a number of the same run, once its name is put behind it; without what was left to itself."""
    given = [part for name, each in options.items() if each is not None for part in (f"--{name}", str(each))]
    return visible(shlex.join(["plaingrad", "explain", *([] if run is None else [run]), *given]))


def report_of(run: str) -> pathlib.Path | None:
    """The report in a run folder, or beside a checkpoint."""
    place = pathlib.Path(run)
    report = (place if place.is_dir() else place.parent) / "report.html"
    return report if report.is_file() else None


def example(name: str) -> Explained:
    """One of the library's examples: a small network with its numbers."""
    made = example_named(name)
    return Explained(made.run(), State(STEP), f"{name}: {made.about}", (), made.opens)


def trained(
    run: str, image: str, label: str | None = None, data_dir: str | None = None, quantity: str | None = None
) -> Explained:
    """A trained network on one of its test images (a number), or on an image file.

    The run is made by the machine code it was trained with; that for errors which training does without may have to be
    compiled first, unless the one `quantity` that is asked for does without, too.
    """
    net, arrays, facts = saved(run)
    about, loss = told_of(facts)
    pixels, known, told = _image(run, net, about, image, data_dir)
    look(net, pixels, [told])
    names = output_names(tuple(about.get("classes", ())), net)
    target = known if label is None else class_named(label, names)
    if target is None:
        target = int(net.run(pixels).output[0].argmax())
        told += f", classified as {names[target]}"
    if not 0 <= target < net.output[0]:
        raise DataError(f"{run}: the image has the label {target}, and the network {net.output[0]} outputs")
    state, batch = _state(net, arrays, facts)
    of_input = quantity is None or ".dx" in quantity or quantity.partition(".")[0] in until_weights(net)[:-1]
    made = Run(net, lanes_taken(lanes_for(net, batch), len(pixels)), loss, input_gradient=of_input)
    made.load(pixels)
    made.forward()
    made.aim(np.array([target]))
    made.backward()
    return Explained(made, state, f"{net.name} on {told}", names)


def _image(
    run: str, net: Network, about: dict[str, Any], image: str, data_dir: str | None
) -> tuple[Array, int | None, str]:
    """The pixels of one image, its label where it has one, and what it is called."""
    if not re.fullmatch("[0-9]+", image):
        if len(net.input) != 3:
            raise SettingError(f"{net.name} takes {net.input[0]} features, not an image file")
        channels, rows, columns = net.input
        pixels, changes = prepared_image(image, (channels, rows, columns), net.seen)
        return pixels[None], None, ", ".join((pathlib.Path(image).name, *changes))
    number, folder = int(image), pathlib.Path(run)
    kept = kept_images(folder) if folder.is_dir() else None
    data = about.get("data")
    if kept is not None and number < len(kept[0]):
        images, labels, part = kept
        name = f"{part} image {number}" + (f" of {pathlib.Path(data).name}" if data else "")
        return images[number : number + 1], int(labels[number]), name
    held = f"holds {len(kept[0])} images, counted from 0" if kept else "holds no images"
    if data is None:
        more = "" if kept else " and does not say where its data are"
        raise CheckpointError(f"{run} {held}{more}; explain it on an image file with --image FILE")
    try:
        test = load(data, data_dir or about.get("data_dir"), **reading_of(about)).test
    except PlaingradError as error:
        raise CheckpointError(f"{run} {held}, and its data cannot be read for others: {error}") from None
    if number >= len(test):
        raise DataError(f"--image {number}: {data} has {len(test):,} test images, counted from 0")
    return (
        test.images[number : number + 1],
        int(test.labels[number]),
        f"test image {number} of {pathlib.Path(data).name}",
    )


def _state(net: Network, arrays: dict[str, Array], facts: dict[str, Any]) -> tuple[State | None, int]:
    """What the optimiser carried when the run was saved, and how many images its batches had."""
    if "training" not in facts:
        return None, LANES
    optimiser = Optimiser.from_json(facts["training"]["optimiser"])
    slots = {}
    for slot in optimiser.slots:
        flat = np.zeros(net.parameters.shape, net.dtype)
        for layer, views in zip(net.steps, net.views(flat), strict=True):
            for name, view in views.items():
                saved = arrays.get(f"optimiser.{slot}.{layer}.{name}", view)
                if saved.shape != view.shape:
                    raise CheckpointError(
                        f"the optimiser's {slot} of {layer}.{name} has the shape {saved.shape}; "
                        f"{view.shape} is needed: train again"
                    )
                view[...] = saved
        slots[slot] = flat
    state = State(optimiser, slots, int(facts.get("position", {}).get("step", 0)))
    return state, int(facts["training"]["batch"])
