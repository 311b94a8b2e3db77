"""What `plaingrad explain --network FILE` explains: a network of one's own, on an image or on random pixels."""

import pathlib

import numpy as np

from plaingrad.cli.explained import Explained, class_named
from plaingrad.compiler.loops import Array
from plaingrad.data import read_image
from plaingrad.data.dataset import generator
from plaingrad.errors import SettingError
from plaingrad.network.files import is_file, network_from_file
from plaingrad.network.models import model
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Softmax
from plaingrad.textbook.losses import CrossEntropy, Loss, SoftmaxCrossEntropy
from plaingrad.training.checkpoint import load_weights
from plaingrad.training.run_folder import weights_file

RANDOM = "random"


def own_network(name: str, image: str, label: str | None, weights: str | None, seed: int) -> Explained:
    """A network of a JSON file, or a built-in one, run forward and back on one image.

    `image` is an image file, or `random`: tenths from 0 to 0.9 drawn from the seed, short enough to compute by hand.
    Weights are the network's starting weights for the seed, or those of the safetensors file, checkpoint or run folder
    `weights`. Without a label the class that the network predicts is taken for the true one. SettingError, DataError or
    CheckpointError for what cannot be.
    """
    generator(seed)  # says at once what is wrong with a seed
    net = network_from_file(name, seed, "float64") if is_file(name) else model(name).network(seed=seed, dtype="float64")
    loss = loss_of(net)
    if weights is not None:
        load_weights(weights_file(weights), net)
    pixels = given_image(net, image, seed)
    names = tuple(map(str, range(net.output[0])))
    told = "random pixels" if image == RANDOM else pathlib.Path(image).name
    if label is None:
        target = int(net.run(pixels).output[0].argmax())
        told += f", classified as {target}"
    else:
        target = class_named(label, names)
    whose = "random weights" if weights is None else f"the weights of {pathlib.Path(weights).name}"
    return Explained(net.run(pixels, np.array([target]), loss), None, f"{net.name} with {whose} on {told}", names)


def loss_of(net: Network) -> Loss:
    """Cross-entropy: of the probabilities where the network ends in a softmax, else of its scores.

    SettingError where the output is not one number for each class.
    """
    if len(net.output) != 1:
        raise SettingError(
            f"{net.name} ends in maps of the shape {net.output}, and the loss needs one number for each class: "
            'add {"kind": "Flatten"} as the last layer, or a Dense after it'
        )
    return CrossEntropy() if isinstance(net.layers[-1], Softmax) else SoftmaxCrossEntropy()


def given_image(net: Network, image: str, seed: int) -> Array:
    """The image as (1, *input): pixels of a file, or random tenths."""
    if image == RANDOM:
        return np.random.default_rng(seed).integers(0, 10, (1, *net.input)) / 10
    if len(net.input) != 3:
        raise SettingError(f"{net.name} takes {net.input[0]} features, not an image file; leave --input out")
    channels, rows, columns = net.input
    return read_image(image, (channels, rows, columns))[None]
