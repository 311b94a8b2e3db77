"""What a network says of an image is the same to the bit: alone or among others, in any batch, by any threads."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.network.network import LANES
from plaingrad.training.inference import softmax
from plaingrad.training.shards import Shards
from test_loops import python

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(1000, 2, 6, 5)).astype("float32")
EVERY_SIZE = (*range(1, 71), 1000)


def network(*layers, dtype="float32"):
    """Every number of it is drawn. Unless told: a layer of each kind that adds up, divides or takes an exponential."""
    layers = layers or (
        *(pg.Conv(5, size=3, padding=1, activation=pg.LeakyReLU(0.1)), pg.MeanPool(3, stride=1, padding=1), pg.Tanh()),
        *(pg.Conv(3, size=2), pg.L2Pool(2), pg.Sigmoid(), pg.Flatten(), pg.Dense(9), pg.Softmax(), pg.Dense(4)),
    )
    net = pg.Network(*layers, input=(2, 6, 5), dtype=dtype)
    net.parameters[:] = RNG.normal(0, 0.5, net.parameters.size)
    net.offset[:], net.factor[:] = RNG.normal(size=2), RNG.uniform(0.5, 2, 2)
    return net


NET = network()


def run_of(net, images):
    """The outputs by runs in which everything is kept, LANES images at a time."""
    last = list(net.steps)[-1]
    parts = [net.run(images[first : first + LANES])[last].y for first in range(0, len(images), LANES)]
    return np.concatenate(parts)


@pytest.mark.parametrize("threads", [1, 2, 3, 5, None])
@pytest.mark.often(2)
def test_an_image_has_the_same_bits_in_a_batch_of_any_size_by_any_threads(threads):
    infer, meant = pg.Inference(NET, threads), run_of(NET, IMAGES)
    for count in RNG.permutation(EVERY_SIZE):
        first = RNG.integers(0, 1001 - count)
        np.testing.assert_array_equal(infer(IMAGES[first : first + count]), meant[first : first + count])
    assert len(np.unique(meant, axis=0)) == 1000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind", ["uint8", "float32", "float64", "float16", "int64", "int8", "bool", ">f4", "longdouble"]
)
def test_numbers_of_any_type_give_what_a_run_of_them_gives(kind, dtype):
    net = network(pg.Conv(3, size=2, activation=pg.ReLU()), pg.Flatten(), pg.Dense(4), dtype=dtype)
    images = RNG.integers(0, 256, (70, 2, 6, 5)).astype(kind) if kind == "uint8" else (3 * IMAGES[:70]).astype(kind)
    images = abs(images) if images.dtype.kind == "i" else images  # whole numbers are pixels
    given, infer = images.copy(), pg.Inference(net, 2)
    for count in (70, 1):
        outputs = infer(images[:count])
        assert outputs.dtype == net.dtype
        np.testing.assert_array_equal(outputs, run_of(net, images[:count]))
    np.testing.assert_array_equal(images, given)
    if kind in ("uint8", "float32", "float64"):  # what a Dataset holds
        with Shards(net, pg.SoftmaxCrossEntropy(), 70, 2, backward=False) as shards:
            np.testing.assert_array_equal(infer(images), shards.evaluate(images, RNG.integers(0, 4, 70))[2])


def test_bytes_count_in_255ths():
    net = pg.Network(pg.Flatten(), input=(1, 2, 3), dtype="float64")
    images = RNG.integers(0, 256, (5, 1, 2, 3)).astype("uint8")
    # The factor 1 / 255 is rounded, and so is the product, while the quotient is rounded once: three halves of eps.
    np.testing.assert_allclose(pg.Inference(net)(images), images.reshape(5, 6) / 255, rtol=1.5 * np.finfo(float).eps)


LAYOUTS = {
    "mirrored": lambda images: images[::-1, :, :, ::-1],
    "every other": lambda images: np.repeat(images, 2, axis=0)[::2],
    "turned": np.asfortranarray,
    "only read": lambda images: np.frombuffer(images.tobytes(), images.dtype).reshape(images.shape),
    "at an odd place": lambda images: np.frombuffer(b"0" + images.tobytes(), "f4", offset=1).reshape(images.shape),
    "lists": lambda images: images.tolist(),
    "objects": lambda images: images.astype(object),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_may_lie_in_memory_in_any_way(layout):
    infer, images = pg.Inference(NET, 2), LAYOUTS[layout](IMAGES[:40])
    for given in (images, IMAGES[40:80], images):  # the second may have another layout, and the same program
        np.testing.assert_array_equal(infer(given), run_of(NET, np.array(given)))


def test_it_follows_the_parameters():
    net, seen = network(), []
    infer = pg.Inference(net, 2)
    for change in (net.parameters, net.offset, net.factor, net["dense1"].w):
        seen.append(infer(IMAGES[:40]))
        change += 0.25
        np.testing.assert_array_equal(infer(IMAGES[:40]), run_of(net, IMAGES[:40]))
        assert (infer(IMAGES[:40]) != seen[-1]).any()


def test_every_answer_has_an_array_of_its_own():
    infer = pg.Inference(NET, 2)
    first = infer(IMAGES[:40])
    kept, images = first.copy(), IMAGES[:40].copy()
    infer(IMAGES[40:80])
    np.testing.assert_array_equal(first, kept)
    infer(images)
    images += 1
    np.testing.assert_array_equal(infer(images), run_of(NET, images))


@pytest.mark.parametrize("dtype", ["float32", "float64", object])
def test_no_images_have_no_outputs(dtype):
    for layers, output in (((pg.Conv(3, size=2),), (3, 1, 2)), ((pg.Flatten(), pg.Dense(4)), (4,))):
        net = pg.Network(*layers, input=(1, 2, 3), dtype=dtype)
        for infer in (pg.Inference(net), pg.Inference(net, 3)):
            outputs = infer(np.zeros((0, 1, 2, 3), np.float32))
            assert (outputs.shape, outputs.dtype) == ((0, *output), net.dtype)
            assert infer(np.zeros((3, 1, 2, 3))).shape == (3, *output)
            assert infer(np.zeros((0, 1, 2, 3), np.float32)).shape == (0, *output)


def test_features_and_images_as_outputs():
    features, pictures = RNG.normal(size=(70, 9)), RNG.normal(size=(70, 2, 6, 5))
    for net, given in (
        (pg.Network(pg.Dense(6, activation=pg.ReLU()), pg.Dense(3), input=(9,)), features),
        (pg.Network(pg.Conv(3, size=2), pg.Tanh(), input=(2, 6, 5)), pictures),
    ):
        infer, meant = pg.Inference(net, 2), run_of(net, given)
        assert meant.shape[1:] == net.output
        for count in (70, 64, 5, 1):
            np.testing.assert_array_equal(infer(given[:count]), meant[:count])


def test_networks_of_exact_numbers_answer_exactly():
    net = pg.Network(pg.Conv(2, size=2), pg.ReLU(), pg.Flatten(), pg.Dense(2), input=(1, 3, 3), dtype=object)
    for images in (RNG.integers(-3, 4, (5, 1, 3, 3)), RNG.integers(0, 256, (5, 1, 3, 3)).astype("uint8")):
        outputs, meant = pg.Inference(net, 2)(images), net.run(images)["dense1"].y
        assert (outputs == meant).all()
        assert len(set(outputs.flat)) > 5
        chances = pg.predict(net, images)
        np.testing.assert_array_equal(chances, softmax(meant.astype(float)))


WRONG = {
    "narrower": IMAGES[:3, :, :, 1:],
    "one channel": IMAGES[:3, :1],
    "one image": IMAGES[0],
    "a row": np.zeros(60),
    "a number": 3.0,
    "nothing": None,
    "an empty list": [],
    "texts": ["a"],
    "complex": IMAGES[:3].astype(complex),
    "not numbers": np.full((1, 2, 6, 5), "a", object),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_batch_of_its_images_is_refused_in_one_line(name):
    infer = pg.Inference(NET, 2)
    for ask in (infer, lambda images: pg.predict(NET, images)):
        with pytest.raises(pg.DataError) as refused:
            ask(WRONG[name])
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) > 20
    np.testing.assert_array_equal(infer(IMAGES[:3]), run_of(NET, IMAGES[:3]))


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "two"])
def test_threads_that_cannot_be_are_refused(threads):
    with pytest.raises(pg.SettingError, match="threads="):
        pg.Inference(NET, threads)
    with pytest.raises(pg.SettingError, match="threads="):
        pg.predict(NET, IMAGES[:2], threads)


def test_predict_shares_out_what_the_scores_say():
    net = pg.Network(pg.Flatten(), pg.Dense(4), input=(2, 6, 5))
    net.parameters[:] = RNG.normal(size=net.parameters.size)
    for count in (0, 1, 33, 1000):
        chances, scores = pg.predict(net, IMAGES[:count], 2), pg.Inference(net, 1)(IMAGES[:count]).astype(float)
        assert chances.shape == (count, 4)
        grown = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
        # An exponential is right to 2 eps at most; a sum adds half an eps for each of 3 additions, a quotient one more.
        # Twice that for the two ways; the 4 shares then sum to 1 up to 4 such quotients and 3 additions.
        eps = np.finfo(float).eps
        np.testing.assert_allclose(
            chances, grown / grown.sum(axis=1, keepdims=True), rtol=2 * (2 + 2 + 1.5 + 0.5) * eps
        )
        np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=(1.5 + 0.5 + 1.5) * eps)
        np.testing.assert_array_equal(chances.argmax(axis=1), scores.argmax(axis=1))
    assert (pg.predict(net, np.full((1, 2, 6, 5), 1e6)).max(axis=1) == 1).all()


PICTURES = """
import numpy as np
import plaingrad as pg

try:
    print(pg.predict(pg.Network(pg.Conv(3, size=2), input=(2, 6, 5)), np.ones((3, 2, 6, 5))).sum(axis=1))
except pg.PlaingradError as error:
    print("refused", len(str(error).splitlines()))
"""


def test_predict_asks_for_scores_not_pictures():
    """In a process of its own: handed to a nest made for rows, pictures can end the process."""
    assert python("-c", PICTURES) == ["refused", "1"]


def test_a_network_that_was_asked_can_be_copied_and_pickled_and_leaves_no_threads():
    before, net = set(threading.enumerate()), pg.Network(pg.Flatten(), pg.Dense(4), input=(2, 6, 5))
    meant = pg.predict(net, IMAGES[:64], 2)
    own = set(threading.enumerate()) - before
    twin = copy.deepcopy(net)
    np.testing.assert_array_equal(pg.predict(twin, IMAGES[:64], 1), meant)
    del net
    gc.collect()
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()
    np.testing.assert_array_equal(pg.predict(pickle.loads(pickle.dumps(twin)), IMAGES[:64], 1), meant)


TOGETHER = """
import faulthandler
import threading
import time
import numpy as np
import plaingrad as pg

faulthandler.dump_traceback_later(20, exit=True)
net = pg.Network(pg.Conv(3, size=2, activation=pg.ReLU()), pg.Flatten(), pg.Dense(3), input=(1, 6, 5))
batches = np.random.default_rng(0).normal(size=(3, 64, 1, 6, 5))
meant, wrong, asked = [pg.predict(net, images, {threads}) for images in batches], [0] * 3, [0] * 3

def ask(number):
    until = time.perf_counter() + 1
    while time.perf_counter() < until:
        wrong[number] += not np.array_equal(pg.predict(net, batches[number], {threads}), meant[number])
        asked[number] += 1

callers = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
for each in callers:
    each.start()
for each in callers:
    each.join()
print(*wrong, min(asked) > 0)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_may_ask_one_network_at_once(threads):
    assert python("-c", TOGETHER.format(threads=threads)) == ["0", "0", "0", "True"]
