"""The commands on data as people have them: describe, train, evaluate, and pictures of one's own at predict."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.main import main
from plaingrad.data import prepared_image
from plaingrad.data.pixels import Seen
from plaingrad.training import checkpoint

Image = pytest.importorskip("PIL.Image")
DIGITS = pg.digits()
BYTES = np.rint(DIGITS.train.images * 255).astype(np.uint8)
OWN = Path(__file__).resolve().parents[2] / "shared" / "field" / "cases" / "K18-black-ink-on-white-paper"
Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in a folder of its own; what it said on stdout and on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in words])
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.out, said.err

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the digits, as a checkpoint."""
    net = pg.model("digits").network(seed=0)
    pg.train(net, DIGITS.train, epochs=4, batch=32)
    path = tmp_path_factory.mktemp("run") / "digits.safetensors"
    checkpoint.save(path, net, about={"classes": list("0123456789")})
    return path


def table(path: Path, data: pg.Dataset, labelled: bool = True) -> Path:
    rows = np.rint(data.images * 255).astype(int).reshape(len(data), -1)
    np.savetxt(path, np.concatenate([data.labels[:, np.newaxis], rows], axis=1) if labelled else rows, "%d", ",")
    return path


# Own pictures


def photograph(digit: np.ndarray, ink: int = 80, paper: int = 180, size: int = 320) -> np.ndarray:
    """A digit in dark ink on light paper, as a large colour picture, higher than wide."""
    shade = paper + (ink - paper) * digit[0].repeat(size // 8, 0).repeat(size // 8, 1)
    high = np.full((size + 20, size), float(paper))
    high[10:-10] = shade
    return np.stack([high, high * 0.95, high * 0.9], axis=-1).astype(np.uint8)


def test_photographs_of_digits_are_made_as_the_training_images_were(command: Command, run: Path) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    for name, digit in zip(names, DIGITS.test.images, strict=False):
        Image.fromarray(photograph(digit)).save(name, quality=95)
    out, err = command("predict", run, *names, "--json")
    told = json.loads(out)["predictions"]
    assert [each["image"] for each in told] == names
    done = [
        "made grey",
        "resized from 340x320 to 8x8",
        "inverted: it is dark on light, and the training images are not",
        "contrast stretched",
    ]
    assert {tuple(each["changed"]) for each in told} == {tuple(done)}
    assert f"0.jpg and 39 more: {'; '.join(done)}" in err.splitlines()
    right = sum(each["class"] == str(label) for each, label in zip(told, DIGITS.test.labels, strict=False))
    assert right >= 20  # of 40, smaller than the training images; by guessing 4
    net = checkpoint.load(run)[0]
    with pytest.warns(pg.Notice, match=r"0\.jpg, given to digits: made grey; resized"):
        probability = pg.predict(net, "0.jpg").max()
    assert probability == pytest.approx(told[0]["probability"], abs=1e-6)


def test_only_what_is_plainly_the_reverse_is_inverted(tmp_path: Path) -> None:
    dark, light, both = (Seen.of(each) for each in (BYTES, 255 - BYTES, np.concatenate([BYTES, 255 - BYTES])))
    test = np.rint(DIGITS.test.images * 255).astype(np.uint8)
    steps = np.rint(DIGITS.test.images * 16)
    stretched = np.rint(steps / steps.max(axis=(1, 2, 3), keepdims=True) * 255)
    blank = np.stack([np.full((1, 8, 8), each, np.uint8) for each in (0, 255)])  # no ink on it
    for seen, given, expected, words in (
        (dark, test, test, ()),
        (light, 255 - test, 255 - test, ()),
        (dark, 255 - test, test, ("inverted: it is dark on light, and the training images are not",)),
        (light, test, 255 - test, ("inverted: it is light on dark, and the training images are not",)),
        (dark, blank, blank, ()),
        (both, test, test, ()),
        (both, 255 - test, 255 - test, ()),
        (dark, (80 + 4 * steps).astype(np.uint8), stretched, ("contrast stretched",)),
    ):
        pixels, done = seen.adapted(given)
        assert set(done) == {words}
        np.testing.assert_array_equal(pixels, expected)
    Image.fromarray(255 - test[0, 0]).save(tmp_path / "a.png")
    pixels, done = prepared_image(tmp_path / "a.png", (1, 8, 8), dark)
    np.testing.assert_array_equal(pixels, test[0])
    assert len(done) == 1
    np.testing.assert_array_equal(prepared_image(tmp_path / "a.png", (1, 8, 8))[0], 255 - test[0])


def test_a_picture_is_resized_as_a_whole_on_the_colour_of_its_border(tmp_path: Path) -> None:
    wide = np.full((20, 80), 40, np.uint8)
    wide[5:15, 10:70] = 240
    Image.fromarray(wide).save(tmp_path / "a.png")
    pixels, done = prepared_image(tmp_path / "a.png", (3, 16, 16))
    assert done == ("resized from 20x80 to 16x16",)
    assert (pixels[:, :6] == 40).all()
    assert (pixels[:, 10:] == 40).all()
    assert (pixels[:, 7:9, 3:13] > 200).all()


@pytest.mark.skipif(not OWN.is_dir(), reason="the drawn digits are not there")
def test_digits_drawn_by_hand_in_either_ink(tmp_path: Path) -> None:
    """One drawing in white on black, in black on white, and in black on nothing, is one picture to a network."""
    seen = Seen.of(BYTES)
    black = prepared_image(OWN / "own_black.png", (1, 28, 28), seen)
    assert black[1] == ()
    for name in ("own_white.png", "own_alpha.png"):
        pixels, done = prepared_image(OWN / name, (1, 28, 28), seen)
        assert done[-1].startswith("inverted")
        np.testing.assert_allclose(pixels, black[0], atol=1)  # grey of ink on nothing is rounded once more


# Files of many images


def test_predict_takes_files_of_many_images(command: Command, run: Path) -> None:
    few = DIGITS.test.take(slice(0, 5))
    pixels = np.rint(few.images * 255).astype(np.uint8)
    table(Path("test.csv"), few, labelled=False)
    table(Path("labelled.csv"), few)
    np.save("images.npy", pixels)
    np.save("one.npy", pixels[3, 0])
    np.savez("images.npz", X=pixels[:, 0])
    Image.fromarray(pixels[4, 0]).save("last.png")
    expected = [
        {key: each[key] for key in ("class", "probability")}
        for each in json.loads(command("predict", run, "images.npy", "--json")[0])["predictions"]
    ]
    assert len(expected) == 5
    for name in ("test.csv", "labelled.csv", "images.npz"):
        told = json.loads(command("predict", run, name, "--json")[0])["predictions"]
        assert [{key: each[key] for key in expected[0]} for each in told] == expected
        assert told[1]["image"] == f"{name}, image 1"
    told = json.loads(command("predict", run, "one.npy", "test.csv", "last.png", "--json")[0])["predictions"]
    assert [each["class"] for each in told] == [each["class"] for each in (expected[3], *expected, expected[4])]
    np.save("wide.npy", np.zeros((2, 9, 9), np.uint8))
    _, err = command("predict", run, "wide.npy", code=2)
    assert "not 1x8x8" in err


# Describe, train, evaluate


def test_describe_says_what_is_in_data(command: Command) -> None:
    table(Path("train.csv"), DIGITS.train)
    out, err = command("data", "describe", "train.csv", "--picture", "few.png")
    assert err == ""
    assert "images of 8 rows x 8 columns, 1 channel (grey), uint8" in out
    assert "train.csv: its first column is taken for the labels" in out
    with Image.open("few.png") as image:
        assert image.size == (66 * 10, 66 * 10)
    _, err = command("data", "describe", "train.csv", "--picture", "few.png", code=2)
    assert "few.png exists already" in err
    told = json.loads(command("data", "describe", "digits", "--json")[0])
    assert (told["parts"]["test"]["images"], told["shape"]) == (360, [1, 8, 8])


def test_a_run_keeps_how_its_data_were_read(command: Command) -> None:
    """What --label told is not told again to evaluate, resume or explain."""
    spread = DIGITS.train.images.copy()
    spread[:, 0, 0, 0] = spread[:, 0, -1, -1] = (np.arange(len(spread)) % 7) / 255
    path = table(Path("a.csv"), pg.Dataset(spread, DIGITS.train.labels, DIGITS.train.classes))
    settings = ("--model", "digits", "--epochs", 1, "--no-report", "--out", "run")
    _, err = command("train", "--data", path, *settings, code=2)
    assert "--label first" in err
    trained = json.loads(command("train", "--data", path, "--label", "first", *settings, "--json")[0])
    again = json.loads(command("evaluate", "run", "--json")[0])
    assert again["accuracy"] == trained["test_accuracy"]
    assert command("explain", "run", "--image", 20)[0]


def validated() -> None:
    """A folder with parts for training, validation and test."""
    parts = {"train": slice(0, 400), "val": slice(400, 500), "test": slice(500, 600)}
    for part, own in parts.items():
        for number, (image, label) in enumerate(zip(BYTES[own], DIGITS.train.labels[own], strict=True)):
            folder = Path("data") / part / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(folder / f"{number}.png")


def test_a_folder_for_validation_is_used_as_such(command: Command) -> None:
    validated()
    settings = ("--data", "data", "--model", "digits", "--epochs", 2, "--no-report", "--json")
    told = json.loads(command("train", *settings, "--out", "run")[0])
    assert (told["validation_images"], told["best_epoch"]) == (100, 2)
    assert json.loads(command("train", *settings, "--out", "b", "--validation", 0.1)[0])["validation_images"] == 40
    _, err = command("train", "--resume", "run")
    assert "run is finished" in err


def test_evaluate_on_pictures_of_ones_own(command: Command, run: Path) -> None:
    for number, (digit, label) in enumerate(zip(DIGITS.test.images[:100], DIGITS.test.labels, strict=False)):
        folder = Path("own") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(digit)).save(folder / f"{number}.png")
    out, err = command("evaluate", run, "--data", "own", "--json")
    told = json.loads(out)
    assert f"{told['images']} of {told['images']} images inverted: it is dark on light" in err
    assert "100 of 100 images made grey or resized to be 1x8x8" in err
    assert told["accuracy"] > 0.5  # by guessing 0.1
