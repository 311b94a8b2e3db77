"""What is made wrong, and whom it is given: each kind of input, from right ones through `mutants` to public functions.

Over 300 lines, since every kind stands here beside the right inputs it is made from.
"""

import contextlib
import dataclasses
import gzip
import io
import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mutants
import plaingrad as pg
from plaingrad.checking import Case, check_answer, make_case, read_case
from plaingrad.checking.answers.answer import answer_of, read_answer
from plaingrad.checking.claims import claim
from plaingrad.cli.main import main
from plaingrad.data.idx import STEMS, idx_split, read_idx, write_idx
from plaingrad.data.images import read_image
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.files import network_from_file
from plaingrad.network.outline import Outline
from plaingrad.textbook.layer import Layer, Start
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import Optimiser, Schedule
from plaingrad.textbook.record import Record
from plaingrad.training.preparing import schedule_from_text
from plaingrad.training.run_folder import CHECKPOINT, IMAGES, keep_images

Image = pytest.importorskip("PIL.Image")

Kind = Callable[[random.Random, "Stage"], Any]
KINDS: dict[str, tuple[Kind, int]] = {}


def kind(share: int) -> Callable[[Kind], Kind]:
    """Enter a kind of input: a function that makes one and gives it away, and how many of 10,000 are of it."""

    def enter(make: Kind) -> Kind:
        KINDS[make.__name__.replace("_", " ")] = make, share
        return make

    return enter


class Stage:
    """What inputs are made from, right ones: networks, files, runs, and a folder to write wrong ones to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.shape = (1, 6, 5)
        self.net = pg.Network(pg.Conv(2, activation=pg.ReLU()), pg.Flatten(), pg.Dense(3), input=self.shape)
        rng = np.random.default_rng(0)
        self.data = pg.from_arrays(rng.random((12, *self.shape), np.float32), np.arange(12) % 3)
        self.exact = pg.Network(*self.net.layers, input=self.shape, dtype=object)
        self.run_folder = folder / "run"
        about = {"model": "own", "classes": ["a", "b", "c"]}
        pg.train(self.net, self.data, epochs=1, batch=4, out=self.run_folder, threads=1, about=about)
        keep_images(self.run_folder, self.data)
        self.networks = [
            *(pg.model(name).network().to_json() for name in ("digits", "lenet5")),
            *(EXAMPLES[name].network().to_json() for name in EXAMPLES),
            make_case().net.to_json(),
        ]
        self.cases = [make_case(simple=True, steps=1), make_case(images=1, steps=1)]
        self.answers = [right_answer(case) for case in self.cases]
        self.runs = {name: EXAMPLES[name].run() for name in EXAMPLES if "digit" not in name}
        self.idx = self._idx()
        self.pictures = self._pictures()

    def _idx(self) -> list[bytes]:
        made = []
        for dtype, shape in (("u1", (5, 4, 3)), ("u1", (5,)), ("f4", (2, 3, 3)), ("i2", (7,))):
            write_idx(self.folder / "x", np.arange(math.prod(shape)).reshape(shape).astype(dtype))
            made.append((self.folder / "x").read_bytes())
        return [*made, *(gzip.compress(each, mtime=0) for each in made)]

    def _pictures(self) -> dict[str, bytes]:
        grey = np.arange(30, dtype=np.uint8).reshape(6, 5)
        made = {}
        for end, mode in (("png", "L"), ("jpg", "RGB"), ("gif", "P"), ("bmp", "L"), ("png", "RGBA"), ("png", "I;16")):
            stream = io.BytesIO()
            picture = Image.fromarray(grey.astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey).convert(mode)
            picture.save(stream, "jpeg" if end == "jpg" else end)
            made[f"{mode.replace(';', '')}.{end}"] = stream.getvalue()
        return made

    def file(self, name: str, content: bytes | str) -> Path:
        """A file with this content; the one before it, of the same name, is gone."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def empty(self, name: str) -> Path:
        """An empty folder."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        return self.folder / name


def right_answer(case: Case) -> dict[str, Any]:
    """What a program that is right answers to a case of one step."""
    run = case.net.run(case.batches[0].x, case.batches[0].target, case.loss)
    names = [name for name in case.to_json()["answer"]["quantities"] if name in run.names]
    return {name: np.asarray(run[name]).tolist() for name in names}


def told(*words: str) -> None:
    """Run a command: it ends with a line and a code; a traceback comes through."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code in (None, 0, 1, 2), ended.value.code
    if ended.value.code == 2:
        *_, last = err.getvalue().splitlines()
        assert last.startswith("plaingrad")


# What is asked of a network that was built


def used(net: Outline, stage: Stage, rng: random.Random, compiled: bool = False) -> None:
    """A network that was not refused works: it is written and read again, and small images go through it."""
    net.summary()
    again = pg.Network.from_json(net.to_json()) if net.size < 10**5 else Outline.from_json(net.to_json())
    assert [*again.shapes] == [*net.shapes]
    if small(net):
        made = pg.Network(*net.layers, input=net.input, dtype="float32" if compiled else object)
        run = made.run(np.ones((1, *net.input), np.float64) / 2)
        assert run.output.shape == (1 if not compiled else run.lanes, *net.output)


def small(net: Outline, most: int = 20_000) -> bool:
    """Whether a network is run in a moment, by its texts in Python."""
    products = sum(layer.multiplications(x) for layer, (x, _, _) in zip(net.layers, net.shapes.values(), strict=True))
    windows = sum(
        math.prod(y) * math.prod(getattr(getattr(layer, "window", None), "size", (1,)))
        for layer, (_, y, _) in zip(net.layers, net.shapes.values(), strict=True)
    )
    numbers = sum(math.prod(x) + math.prod(y) for x, y, _ in net.shapes.values()) + net.size
    return products + numbers + windows < most


@kind(1600)
def network_files(rng: random.Random, stage: Stage) -> None:
    made = mutants.tree(rng, rng.choice(stage.networks))
    if rng.random() < 0.2:
        content = json.dumps(made).encode()
        content = rng.choice([mutants.content, mutants.digits_in])(rng, content)
        path = stage.file("net.json", content)
        rng.choice([lambda: told("models", str(path)), lambda: told("case", "--network", str(path))])()
        used(network_from_file(str(path)), stage, rng)
    else:
        outline = Outline.from_json(made)
        outline.require_room(4, 1 << 26)  # what one builds in Python oneself has no bound
        used(pg.Network.from_json(made), stage, rng)


@kind(1600)
def settings(rng: random.Random, stage: Stage) -> None:
    family = rng.choice([Layer, Layer, Layer, Layer, Start, Loss, Optimiser, Schedule])
    ours = [each for each in family.kinds().values() if each.__module__.startswith("plaingrad.")]  # not other tests'
    one: type[Record] = rng.choice(ours)
    names = [field.name for field in dataclasses.fields(one)]  # type: ignore[arg-type]
    right = [1, 2, 3, 1, 2, 3, (1, 2), 0.5, True]
    told_of = {name: rng.choice(right) for name in names if rng.random() < 0.3}
    told_of |= dict.fromkeys({"units", "filters"} & {*names}, 2)
    told_of |= {rng.choice(names): mutants.odd(rng) for _ in range(rng.choice([1, 1, 1, 2])) if names}
    if rng.random() < 0.1:
        told_of[str(rng.choice(["kernel_size", "x", mutants.odd(rng)]))] = 3
    made: Any = one(**told_of)
    repr(made), made.in_full(), hash(made)
    assert type(made).from_json(json.loads(json.dumps(made.to_json()))) == made
    if isinstance(made, Layer):
        net = Outline(made, input=rng.choice([(1, 6, 5), (2, 7, 7), (4,), (2, 3)]))
        net.require_room(4, 1 << 26)
        used(net, stage, rng, compiled=rng.random() < 0.03)
    elif isinstance(made, Start) and not isinstance(made, Layer):
        pg.Network(pg.Dense(3, start=made), input=(4,))
    elif isinstance(made, Optimiser):
        stage.runs["first-cnn"].explain("conv1.w_after[0,0,0,0]", made).text()
    elif isinstance(made, Schedule):
        made(3, 10, 5)


@kind(1000)
def checkpoints(rng: random.Random, stage: Stage) -> None:
    content = (stage.run_folder / CHECKPOINT).read_bytes()
    content = rng.choice([mutants.content, mutants.content, mutants.digits_in])(rng, content)
    path = stage.file("checkpoint", content)
    if rng.random() < 0.2:
        told("evaluate", str(path), "--data", "digits")
    net, _, _ = pg.checkpoint.load(path)
    used(net, stage, rng)


@kind(500)
def run_folders(rng: random.Random, stage: Stage) -> None:
    folder = stage.empty("copy")
    shutil.copytree(stage.run_folder, folder, dirs_exist_ok=True)
    net, arrays, facts = pg.checkpoint.load(folder / CHECKPOINT)
    name = rng.choice([CHECKPOINT, "history.jsonl", IMAGES])
    if name == CHECKPOINT:
        facts = mutants.tree(rng, facts)
        if isinstance(facts, dict):
            facts = {name: each for name, each in facts.items() if name.isprintable()}
        kept = facts if isinstance(facts, dict) and not {"path", "net", "more"} & {*facts} else {"training": facts}
        pg.checkpoint.save(folder / CHECKPOINT, net, arrays, **kept)
    else:
        (folder / name).write_bytes(mutants.content(rng, (stage.run_folder / name).read_bytes() or b"{}"))
    told("explain", str(folder), rng.choice(["conv1.dw[0,0,0,0]", "conv1.w_after[0,0,0,0]", "loss.y"]), "--image", "0")
    pg.Trainer.resume(folder, stage.data, threads=1).train()


@kind(800)
def cases(rng: random.Random, stage: Stage) -> None:
    which = rng.randrange(len(stage.cases))
    right = stage.cases[which].to_json()
    if rng.random() < 0.7:
        case = Case.from_json(mutants.tree(rng, right))
    else:
        content = rng.choice([mutants.content, mutants.digits_in])(rng, json.dumps(right).encode())
        case = read_case(str(stage.file("case.json", content)))
    check_answer(case, stage.answers[which]).text()


@kind(1200)
def answers(rng: random.Random, stage: Stage) -> None:
    which = rng.randrange(len(stage.cases))
    right, manner = stage.answers[which], rng.randrange(5)
    if manner == 0:
        answer = answer_of(mutants.tree(rng, right))
    elif manner == 1:
        content = json.dumps(mutants.tree(rng, right)).encode()
        answer = read_answer(stage.file("answer.json", rng.choice([mutants.content, mutants.digits_in])(rng, content)))
    elif manner == 2:
        stream = io.BytesIO()
        arrays = {
            name: mutants.array(rng, np.shape(value), False) if rng.random() < 0.2 else value
            for name, value in right.items()
        }
        with contextlib.suppress(Exception):  # NumPy itself refuses some
            np.savez(stream, **arrays)
        answer = read_answer(stage.file("answer.npz", mutants.content(rng, stream.getvalue())))
    elif manner == 3:
        folder = stage.empty("csv")
        for name, value in right.items():
            rows = np.asarray(value).reshape(len(value) if np.ndim(value) else 1, -1).tolist()
            text = "\n".join(",".join(map(str, row)) for row in rows)
            stage.file(f"csv/{name}.csv", mutants.text(rng, text) if rng.random() < 0.3 else text)
        answer = read_answer(folder)
    else:
        answer = answer_of({name: mutants.array(rng, np.shape(value) or (1,)) for name, value in right.items()})
    check_answer(stage.cases[which], answer).text(True)


@kind(700)
def pictures(rng: random.Random, stage: Stage) -> None:
    name, content = rng.choice([*stage.pictures.items()])
    path = stage.file(name, mutants.content(rng, content))
    if rng.random() < 0.3:
        folder = stage.empty("photos")
        for place in ("a/1", "a/2", "b/1", "b/2", rng.choice(["train/c/1", "b/x", "\u202e/1"])):
            name, content = rng.choice([*stage.pictures.items()])
            stage.file(f"photos/{place}{name}", mutants.content(rng, content) if rng.random() < 0.1 else content)
        share, seed = rng.choice([0.2, 0.2, mutants.odd(rng)]), rng.choice([0, 0, mutants.odd(rng)])
        pg.image_folder(folder, share, seed)
    elif rng.random() < 0.2:
        pg.predict(stage.net, str(path))
    else:
        read_image(path, rng.choice([(1, 6, 5), (3, 6, 5), (1, 5, 6)]))


@kind(700)
def idx_files(rng: random.Random, stage: Stage) -> None:
    content = mutants.content(rng, rng.choice(stage.idx))
    if rng.random() < 0.7:
        read_idx(stage.file("x.idx", content))
        return
    folder = stage.empty("idx")
    for number, stems in enumerate(STEMS):
        own = stage.idx[(number % 2) + rng.choice([0, 4])]
        (folder / stems[0]).write_bytes(mutants.content(rng, own) if rng.random() < 0.2 else own)
    idx_split(folder, "mnist")
    pg.mnist(folder)


@kind(1000)
def arrays(rng: random.Random, stage: Stage) -> None:
    images, labels = mutants.array(rng, (4, *stage.shape)), rng.choice([[0, 1, 2, 0], mutants.array(rng, (4,))])
    manner, net = rng.randrange(9), rng.choice([stage.net, stage.net, stage.exact])
    if manner == 0:
        net.run(images, labels)
    elif manner == 1:
        net.run(images).backward(mutants.array(rng, (4, 3)))
    elif manner == 2:
        pg.predict(net, images)
    elif manner == 3:
        pg.from_arrays(images, labels, rng.choice([None, 3, mutants.odd(rng)]))
    elif manner == 4:
        pg.train(net.copy(), images, labels, epochs=1, threads=1)
    elif manner == 5:
        pg.score(net, images, labels, threads=1)
    elif manner == 6:
        run = net.run(stage.data.images[:4], stage.data.labels[:4])
        given = {name: mutants.array(rng, np.shape(run[name]) or (1,)) for name in ("conv1.dw", "dense1.dw", "loss")}
        pg.check(net, *rng.choice([(images, labels), (stage.data.images[:4], stage.data.labels[:4])]), given).text()
    elif manner == 7:
        pg.Dataset(images, labels, rng.choice([("a", "b", "c"), mutants.odd(rng)]))
    else:
        stage.data.take(rng.choice([mutants.odd(rng), mutants.array(rng, (12,))]))


@kind(1500)
def names(rng: random.Random, stage: Stage) -> None:
    run = stage.runs[rng.choice([*stage.runs])]
    name = rng.choice(run.names)
    shape = np.shape(run[name])
    place = ",".join(str(rng.randrange(size)) for size in shape)
    name = f"{name}[{place}]" if place else name
    manner = rng.randrange(6)
    if manner == 0:
        run[mutants.text(rng, name)]
    elif manner == 1:
        claim(run, mutants.text(rng, f"{name} = {rng.choice(['2 * x[0,0]', 'sum(i=0..2, x[0,i])', '3', name])}")).text()
    elif manner == 2:
        run.explain(mutants.text(rng, name)).text()
    elif manner == 3:
        run.explain(mutants.odd(rng), rng.choice([None, None, mutants.odd(rng)]))
    else:  # a right one, and what it was made of
        told_of = run.explain(name)
        told_of.text(), json.dumps(told_of.to_json())
        for each in rng.sample(told_of.next, min(3, len(told_of.next))):
            run.explain(each).text()


@kind(900)
def numbers(rng: random.Random, stage: Stage) -> None:
    manner = rng.randrange(9)
    if manner == 8:
        asked = {name: mutants.odd(rng) for name in ("optimiser", "lowest", "highest", "steps", "batch", "loss", "augment", "clip", "seed", "threads", "rates") if rng.random() < 0.2}  # fmt: skip  # noqa: E501
        if type(asked.get("steps")) is int and 20 < asked["steps"] <= 2**53:
            asked["steps"] = 20  # more are asked for by somebody who waits for them
        str(pg.find_rate(stage.net, stage.data, **({"steps": 12} | asked)))
        schedule_from_text(mutants.text(rng, rng.choice(["warmup,share=0.1+hold+cosine", "step,every=2,factor=0.1"])))
        asked = {name: mutants.odd(rng) for name in ("labels", "loss", "threads") if rng.random() < 0.3}
        json.dumps(pg.evaluate(stage.net, stage.data, **asked).to_json())
    elif manner <= 1:
        asked = {name: mutants.odd(rng) for name in ("epochs", "batch", "seed", "threads", "patience", "validation", "optimiser", "schedule", "loss", "watch", "about", "rate", "augment", "clip", "average") if rng.random() < 0.25}  # fmt: skip  # noqa: E501
        if type(asked.get("epochs")) is int and asked["epochs"] > 2:
            pg.Trainer(stage.net.copy(), stage.data, **asked)
        else:
            pg.train(stage.net.copy(), stage.data, **({"epochs": 1} | asked))
    elif manner == 2:
        asked = {name: mutants.odd(rng) for name in ("layers", "input", "simple", "loss", "images", "steps", "rate", "seed", "name") if rng.random() < 0.25}  # fmt: skip  # noqa: E501
        make_case(**asked).text()
    elif manner == 3:
        asked = {name: mutants.odd(rng) for name in ("input", "seed", "dtype", "name") if rng.random() < 0.4}
        pg.Network(pg.Conv(2), pg.Flatten(), pg.Dense(3), **({"input": (1, 6, 5)} | asked))
    elif manner == 4:
        rng.choice([stage.data.split, stage.net.reset, pg.Inference, pg.model, pg.example, pg.load, pg.digits])(
            mutants.odd(rng)
        )
    elif manner == 5:
        stage.data.split(0.5, mutants.odd(rng))
    elif manner == 6:
        pg.Inference(stage.net, mutants.odd(rng))(stage.data.images)
    else:
        subject = rng.choice([pg.Dense(3), pg.Conv(1), pg.MaxPool(2), stage.net, mutants.odd(rng)])
        seeds = rng.choice([1, mutants.odd(rng)])
        if type(seeds) is int and 9 < seeds <= 2**53:
            seeds = 2  # more are asked for by somebody who waits for them
        pg.check(subject, input=rng.choice([(2, 3, 3), mutants.odd(rng)]), seeds=seeds)


WORDS = [
    ["train", "--epochs", "1", "--data", "PHOTOS", "--no-report", "--out", "OUT", "--seed", "1", "--batch", "4"],
    ["train", "--augment", "shift=1,cutout=2", "--clip", "1", "--schedule", "warmup+step,every=2", "--epochs", "1"],
    ["find-rate", "--data", "PHOTOS", "--steps", "12", "--lowest", "1e-4", "--batch", "4", "--augment", "none"],
    ["evaluate", "RUN", "--data", "digits", "--threads", "1"],
    ["predict", "RUN", "PICTURE", "--json"],
    ["explain", "RUN", "conv1.dw[0,0,0,0]", "--image", "0", "--label", "1", "--rate", "0.1"],
    ["explain", "--example", "first-cnn", "conv1.dw[0,0,1,0]", "--optimiser", "adam", "--json"],
    ["models", "digits", "--json"],
    ["case", "--layers", "conv,relu,flatten,dense", "--images", "2", "--steps", "1", "--seed", "3", "--rate", "0.5"],
    ["check", "CASE", "ANSWER", "--all", "--json"],
    ["check", "--example", "two-kernels", "--formula", "conv1.dw[0,0,0,0] = 2 * x[0,0,0]"],
]


@kind(500)
def command_lines(rng: random.Random, stage: Stage) -> None:
    folder = stage.folder
    shutil.rmtree(folder / "out", ignore_errors=True)
    stage.file("right/case.json", stage.cases[0].text())
    stage.file("right/answer.json", json.dumps(stage.answers[0]))
    for number, name in enumerate(("L.png", "L.bmp", "L.png", "L.bmp")):
        stage.file(f"right/photos/{number % 2}/{number}{name}", stage.pictures[name])
    place = {"RUN": stage.run_folder, "OUT": folder / "out", "PHOTOS": folder / "right/photos"}
    place |= {"PICTURE": folder / "right/photos/0/0L.png"}
    place |= {"CASE": folder / "right/case.json", "ANSWER": folder / "right/answer.json"}
    words = [str(place.get(word, word)) for word in rng.choice(WORDS)]
    for _ in range(rng.choice([1, 1, 2])):
        at, manner = rng.randrange(len(words)), rng.randrange(5)
        word = str(rng.choice([*mutants.NUMBERS, *mutants.TEXTS]))[:100]
        if manner == 0 and len(words) > 1:
            del words[at]
        elif manner == 1:
            words.insert(at, rng.choice([word, rng.choice(rng.choice(WORDS))]))
        elif manner == 2 and not words[at].startswith("/"):
            words[at] = mutants.text(rng, words[at])
        elif not words[at].startswith("-"):
            words[at] = word
    if words and words[0] == "train" and "--out" not in words:
        words += ["--out", str(folder / "out")]
    if any(word.isdecimal() and 100 < int(word) < 10**16 for word in words if word != "0"):
        words = [word for word in words if word not in ("--epochs",)]  # many epochs are long, and no fault
    told(*words)
