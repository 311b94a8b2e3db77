"""Augmentation: what is done to an image, by its definition, and on what it depends."""

import itertools
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.network.augment import COLUMN, LEFT, ROW, SIGN, TOP
from plaingrad.network.run import Run

ALL = pg.Augment(shift=2, flip=True, cutout=3)


def pictures(count: int, dtype: str = "uint8") -> Any:
    drawn = np.random.default_rng(0).integers(1, 256, (count, 2, 7, 9))  # none of them is black
    return drawn.astype(dtype) if dtype == "uint8" else (drawn / 255).astype(dtype)


def loaded(images: Any, augment: pg.Augment, lanes: int, seed: int, epoch: int) -> tuple[Any, Any]:
    """All images as a run loads them, and what was drawn for each."""
    net = pg.Network(pg.Flatten(), pg.Dense(3), input=images.shape[1:])
    net.offset[:], net.factor[:] = [0.25, 0.5], [2, 4]
    run = Run(net, lanes, pg.SoftmaxCrossEntropy(), input_gradient=True, augment=augment)
    run.seeds[:], run.epoch[:] = (seed, 17), epoch
    program = run.program(images, np.zeros(len(images), int), backward=True)
    found, drawn = np.empty(images.shape, "float32"), np.empty((5, len(images)), int)
    for start in range(0, len(images), lanes):
        count = min(lanes, len(images) - start)
        run.index[:] = -1
        run.index[:count] = np.arange(start, start + count)
        program()
        found[start : start + count] = run.seen("flatten1", "x")[:count]
        assert not run.seen("flatten1", "x")[count:].any()
        drawn[:, start : start + count] = program.calls[0].given[0][:, :count]
    return found, drawn


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_image_is_the_crop_of_the_padded_one_flipped_and_cut_out(dtype: str) -> None:
    images = pictures(45, dtype)
    found, drawn = loaded(images, ALL, 8, seed=3, epoch=2)
    changed = np.empty(images.shape, dtype)
    for n, image in enumerate(images):
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
        column = drawn[COLUMN, n] - (8 if drawn[SIGN, n] < 0 else 0)
        crop = padded[:, 2 + drawn[ROW, n] :, 2 + column :][:, :7, :9]
        changed[n] = crop if drawn[SIGN, n] > 0 else crop[:, :, ::-1]
        away = [abs(np.arange(size) - drawn[at, n]) <= 1 for size, at in ((7, TOP), (9, LEFT))]  # 3×3, and its middle
        changed[n][:, away[0][:, None] & away[1]] = 0
    unit = np.float32(1 / 255 if dtype == "uint8" else 1)
    expected = (changed * unit - np.float32([0.25, 0.5]).reshape(2, 1, 1)) * np.float32([2, 4]).reshape(2, 1, 1)
    # Two roundings of numbers up to 1, one of which a compiler may leave out, times 4.
    np.testing.assert_allclose(found, expected, rtol=0, atol=8 * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(ALL.apply(images, seed=3, epoch=2), changed)
    np.testing.assert_array_equal(ALL.apply(images[5:9], seed=3, epoch=2, first=5), changed[5:9])


def test_what_is_drawn_is_that_of_seed_epoch_and_image() -> None:
    """It is the same in whatever shard and lane an image is; any of the three makes it another one."""
    images = pictures(600)
    first = loaded(images, ALL, 8, 3, 5)[1]
    np.testing.assert_array_equal(first, loaded(images, ALL, 32, 3, 5)[1])
    others = [loaded(images, ALL, 32, 4, 5)[1], loaded(images, ALL, 32, 3, 6)[1], np.roll(first, 1, axis=1)]
    for one, two in itertools.combinations([first, *others], 2):
        # Independent, two rows of 600 differ at 4/5 of them: 480, with a deviation below 10; six are never left.
        assert abs((one[ROW] != two[ROW]).sum() - 480) < 60
    for row, values in ((ROW, range(-2, 3)), (SIGN, (-1, 1)), (TOP, range(7)), (LEFT, range(9))):
        seen, counts = np.unique(first[row], return_counts=True)
        assert seen.tolist() == list(values)
        assert (abs(counts - 600 / len(values)) < 6 * (600 / len(values)) ** 0.5).all()
    assert abs(np.corrcoef(first[[ROW, SIGN, TOP, LEFT]]) - np.eye(4)).max() < 6 / 600**0.5


def test_nothing_told_is_nothing_changed_and_only_training_changes() -> None:
    images = pictures(20)
    np.testing.assert_array_equal(pg.Augment().apply(images, seed=1), images)
    net = pg.Network(pg.Flatten(), pg.Dense(3), input=images.shape[1:])
    run = Run(net, 20, pg.SoftmaxCrossEntropy(), augment=ALL)
    run.program(images, np.zeros(20, int), backward=False)()
    np.testing.assert_array_equal(run.output, net.run(images).output[:20])


@pytest.mark.parametrize(
    ("text", "augment"),
    [
        ("shift=4,flip", pg.Augment(shift=4, flip=True)),
        (" cutout = 8 , shift=1", pg.Augment(shift=1, cutout=8)),
        ("none", None),
    ],
)
def test_an_augmentation_is_told_in_words(text: str, augment: pg.Augment | None) -> None:
    assert pg.Augment.from_text(text) == augment


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ("", "choose from"),
        ("shft=2", "did you mean 'shift'"),
        ("shift", "shift=4,flip"),
        ("shift=", "shift=4,flip"),
        ("shift=-1", "shift=4,flip"),
        ("shift=1.5", "shift=4,flip"),
        ("shift=²", "shift=4,flip"),
        ("shift=" + "9" * 5000, "shift=4,flip"),
        ("flip=1", "flip alone"),
        ("flip,flip", "at most once"),
        ("shift=8", "at most 7"),
        ("cutout=9", "at most 8"),
        (4, "augment=4"),
        ({"shift": 1}, "needs one such as Augment"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_one_that_cannot_be_is_refused_in_one_line(augment: Any, said: str) -> None:
    data = pg.digits().train.take(range(20))
    with pytest.raises(pg.SettingError, match=rf"^[^\n]*{said}[^\n]*$"):
        pg.Trainer(pg.model("digits").network(), data, augment=augment)


def test_features_have_no_places() -> None:
    with pytest.raises(pg.SettingError, match="is for images"):
        pg.Augment(shift=1).check((4,))
    for settings in ({"shift": -1}, {"cutout": -2}, {"flip": 1}, {"shift": 1.5}):
        with pytest.raises(pg.SettingError, match="Augment got"):
            pg.Augment(**settings)  # type: ignore[arg-type]


def test_a_recipe_changes_only_images_like_those_it_was_made_for() -> None:
    model = pg.model("resnet8")
    assert model.recipe_for((3, 32, 32)).augment == model.recipe.fitted(100).augment == pg.Augment(shift=4, flip=True)
    assert model.recipe_for((1, 8, 8)).augment is None
