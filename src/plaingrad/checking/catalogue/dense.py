"""Mistakes in dense layers and in flattening, and those of batches that any trained layer can have."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, enter, has_several_images, mistake
from plaingrad.checking.catalogue.otherwise import reshaped, with_weights
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array
from plaingrad.textbook.losses import SoftmaxCrossEntropy

NAMED_ELSEWHERE = (  # an entry of theirs says more
    *(
        "Flatten",
        "ReLU",
        "LeakyReLU",
        "Sigmoid",
        "Tanh",
        "Softmax",
        "ELU",
        "SiLU",
        "GELU",
        "TanhGELU",
        "Dropout",
        "Add",
    ),
)


def of_image(context: Context, image: int) -> Array:
    """What the pass makes where the errors of one image alone count."""
    if context.quantity != "dx":
        return context.of_error(context.only_images(image))
    kept = np.zeros_like(context.expected)
    kept[image] = context.expected[image]
    return kept


enter(
    "one-image",
    "*.dw *.db *.dx loss.dx",
    "only one image of the batch is used",
    "The gradient of a batch is the sum (or mean) over its images: set it to zero before the loop over the images, "
    "and use += inside.",
    lambda context: of_image(context, -1),
    lambda context: of_image(context, 0),
    when=has_several_images,
    kind=Kind.SUM,
)

enter(
    "one-image-averaged",
    "*.dw *.db",
    "the gradient of one image is used for the whole batch",
    "The gradient of a batch is the sum (or mean) over its images: set it to zero before the loop over the images, "
    "and use += inside.",
    lambda context: context.images * of_image(context, -1),
    lambda context: context.images * of_image(context, 0),
    when=has_several_images,
    kind=Kind.SUM,
)

enter(
    "images-mixed-up",
    "*.dx *.y",
    "the numbers of different images are mixed up: an array is reshaped where it should be transposed",
    "A transpose turns a matrix (features, images) into (images, features). A reshape gives the same shape, but with "
    "the numbers in other places.",
    lambda context: context.expected.reshape(context.images, -1).T.reshape(context.expected.shape),
    lambda context: context.expected.reshape(-1, context.images).T.reshape(context.expected.shape),
    lambda context: (
        context.expected.swapaxes(0, 1).reshape(context.expected.shape) if context.expected.ndim == 4 else None
    ),
    when=lambda context: has_several_images(context) and context.expected.ndim > 1,
    kind=Kind.INDEX,
)

enter(
    "images-averaged",
    "*.dx",
    "every image gets the same error, that of the whole batch",
    "Each image has its own error; only the gradients of the weights are sums over the images. dx keeps the index of "
    "the image.",
    lambda context: np.broadcast_to(context.expected.mean(axis=0), context.expected.shape),
    lambda context: np.broadcast_to(context.expected.sum(axis=0), context.expected.shape),
    when=has_several_images,
    kind=Kind.SUM,
    question="sum-or-mean",
)

enter(
    "input-left-out",
    "Dense.dw Conv.dw",
    "the gradient of each weight is the error alone: it is not multiplied by the input",
    "y = w · x, so dw = dy · x: each weight's gradient is the error times the number it was multiplied with.",
    lambda context: context.sum(context.terms, x=np.ones_like(context.x)),
    kind=Kind.OMISSION,
)

enter(
    "weights-reshaped",
    "Dense.y",
    "the weights are reshaped where they should be transposed",
    "w is (unit, input): y[k] = b[k] + Σ w[k][c] · x[c].",
    with_weights(reshaped),
    kind=Kind.INDEX,
)

enter(
    "gradient-reshaped",
    "Dense.dw",
    "the gradient has the shape (input, unit) and is reshaped to (unit, input) where it should be transposed",
    "dw[k][c] = Σ dy[k] · x[c]: the first index is the unit, as in w.",
    lambda context: np.ascontiguousarray(context.expected.T).reshape(context.expected.shape),
    kind=Kind.INDEX,
)

enter(
    "weights-left-out",
    "Dense.dx",
    "the errors are summed without being multiplied by the weights",
    "dx[c] = Σ w[k][c] · dy[k]: each error is multiplied by the weight through which it goes back.",
    with_weights(np.ones_like),
    kind=Kind.OMISSION,
)

enter(
    "updated-weights",
    "Conv.dx Dense.dx BatchNorm.dx GroupNorm.dx",
    "the error is sent back through weights that were already updated",
    "Compute all gradients of a layer, including dx, with the weights of the forward pass, and update afterwards. "
    "The effect grows with the learning rate.",
    lambda context: context.with_weights(context.updated()),
    kind=Kind.ARRAY,
    question="update-during-pass",
)


@mistake(
    "flattened-in-another-order",
    "Flatten.y",
    "feature maps are flattened in another order than (channel, row, column)",
    "Any order works if the forward and the backward pass use the same one. The weights of the next dense layer then "
    "belong to other pixels than in the case.",
    convention=True,
    kind=Kind.INDEX,
)
def flattened_otherwise(context: Context) -> Iterator[Terms]:
    places = np.arange(context.terms.out.size).reshape(1, -1)
    for order in orders(places, (1, *context.x.shape[1:])):
        yield replace(context.terms, out=order.reshape(-1)[context.terms.inner].astype(np.intp))


@mistake(
    "flatten-order",
    "Flatten.dx",
    "the error is reshaped in another order than the one in which the feature maps were flattened",
    "Undo the reshape exactly: use the same order of channel, row and column in the forward and the backward pass.",
    kind=Kind.INDEX,
)
def flatten_order(context: Context) -> Iterator[Array]:
    yield from orders(context.dy.reshape(context.images, -1), context.expected.shape)


def orders(rows: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Rows of numbers put into maps in every order but the right one."""
    inner = shape[1:]
    for order in itertools.permutations(range(len(inner))):
        if order != tuple(range(len(inner))):
            laid = rows.reshape(len(rows), *(inner[axis] for axis in order))
            yield laid.transpose(0, *(1 + np.argsort(order)))


enter(
    "image-transposed",
    "*.dx",
    "rows and columns of the errors are exchanged",
    "Keep the order (row, column) in the backward pass.",
    lambda context: np.swapaxes(context.expected, 2, 3).reshape(context.expected.shape),
    when=lambda context: context.expected.ndim == 4,
    kind=Kind.INDEX,
)

enter(
    "nothing-goes-back",
    "*.dx",
    "no error is sent back: dx of this layer is zero, and so is every gradient of the layers before it",
    "Every layer passes an error to the layer before it, even a layer without weights. A backward pass that was "
    "written for the first layer often leaves this out.",
    lambda context: np.zeros_like(context.expected),
    plain=True,
    kind=Kind.OMISSION,
    question="first-cnn",
)

enter(
    "input-returned",
    "*.dx",
    "the layer's input is returned instead of an error",
    "dx has the shape of x, but it is not x: return the gradient with respect to x.",
    lambda context: context.x,
    when=lambda context: context.name != "loss",
    kind=Kind.ARRAY,
)

enter(
    "layer-skipped",
    "*.dx",
    "the error passes through the layer unchanged, as if the layer did nothing",
    "In the backward pass each layer multiplies the error by its own derivative.",
    lambda context: context.dy,
    when=lambda context: (
        context.name != "loss" and context.kind not in NAMED_ELSEWHERE and context.dy.shape == context.expected.shape
    ),
    kind=Kind.OMISSION,
    question="no-weights",
)

enter(
    "gradient-left-out",
    "*.dw *.db",
    "the gradient is zero: it is never computed",
    "Every trained array needs a gradient, including the biases and the weights of the first layer.",
    lambda context: np.zeros_like(context.expected),
    plain=True,
    kind=Kind.OMISSION,
)

enter(
    "never-cleared",
    "*.dw *.db",
    "the gradient of the previous step is still included: it is never set to zero",
    "Set every gradient to zero at the start of a step, or assign the first product instead of adding it.",
    lambda context: context.expected + context.before,
    when=lambda context: context.before is not None,
    kind=Kind.SUM,
)


@mistake(
    "weight-decay-added",
    "*.dw *.db",
    "a multiple of the weight is added to its gradient, as with weight decay",
    "The case has no weight decay: leave it out for the comparison. If you want it, add the penalty to the loss as "
    "well.",
    kind=Kind.SUM,
)
def weight_decay(context: Context) -> Iterator[Array]:
    w = context.weights[context.weight]
    if context.given is not None and w.size > 2 and w.any():  # of a number or two anything is a multiple
        decay = float(((context.given - context.expected) * w).sum() / (w * w).sum())
        if decay > 0:
            yield context.expected + decay * w


ENOUGH = 6  # numbers that are all the same by no chance


def activated(context: Context) -> Array:
    """The output of a layer behind the activation that follows it; the probabilities, where the loss makes them."""
    names = context.program.names
    place = names.index(context.name) + 1
    if place < len(names):
        made = context.env.get((context.step, names[place], "y"))
        return context.y if made is None or made.value.shape != context.y.shape else made.value
    if isinstance(context.program.case.loss, SoftmaxCrossEntropy):
        context.program.loss_of(context.step, context.y)
        return context.program.single_layer("loss").get("probability").reshape(context.y.shape)
    return context.y


@mistake(
    "one-number-for-all-weights",
    "Dense.dw Conv.dw",
    "every weight of an array gets the same number, as from a dot product where an outer product is needed",
    "Each weight has its own gradient: dw[k, c] += dy[n, k] · x[n, c], the error of the unit times the layer's input. "
    "Two vectors of one length multiplied by `dot` give a single number, which NumPy then subtracts from all weights.",
    kind=Kind.SUM,
)
def one_number(context: Context) -> Iterator[Array]:
    right, given = context.expected, context.given
    if right.size < ENOUGH:
        return
    for number in ((context.dy * activated(context)).sum(), (context.dy * context.y).sum(), right.mean(), right.sum()):
        yield np.full_like(right, number)
    if given is not None and given.reshape(-1)[0] and np.allclose(given, given.reshape(-1)[0], rtol=1e-6, atol=0):
        yield np.full_like(right, given.mean())
