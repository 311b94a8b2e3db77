"""Checks for tests: gradients of a network, of a layer someone else wrote, of any function, of a PyTorch module.

    from plaingrad.testing import assert_gradients

    def test_my_convolution():
        assert_gradients(plaingrad.Conv(4, size=3), my_backward, input=(2, 6, 5))

What goes wrong is an AssertionError that says what is wrong, as plain `unittest` and pytest show it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from plaingrad.errors import SettingError, require_whole
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss

if TYPE_CHECKING:
    from plaingrad.checking.functions.in_python import Laws
    from plaingrad.checking.functions.own_names import OwnVerdict

__all__ = ["assert_gradients", "check", "check_module"]


@overload
def check(subject: Layer, x: tuple[int, ...] = ..., *, input: tuple[int, ...] = ..., seeds: int = ...) -> "Laws": ...


@overload
def check(subject: Network, *, seeds: int = ...) -> "Laws": ...


@overload
def check(
    subject: Network, x: Any, target: Any, gradients: Mapping[str, Any], loss: Loss | None = ..., *,
    rate: float | None = ..., then: Sequence[tuple[Any, Any]] = ...,
) -> "OwnVerdict": ...  # fmt: skip


def check(
    subject: Any, x: Any = None, target: Any = None, gradients: Any = None, loss: Loss | None = None, *,
    rate: float | None = None, then: Sequence[tuple[Any, Any]] = (), input: Any = None, seeds: int = 3,
) -> Any:  # fmt: skip
    """Whether gradients are right, and what mistake was made; or whether layers of one's own keep their laws.

    `check(net, x, target, gradients)` compares what another program computed with the network's weights. x is (image,
    channel, row, column), as `net.run` takes it; target class numbers (image,) or values (image, output); gradients a
    mapping of names and arrays, as many as there are: `conv1.y dense1.dx conv1.dw conv1.db loss loss.dx` and so on, and
    for a fused activation `conv1.dz`, the error behind it. The loss is the mean over the images of
    SoftmaxCrossEntropy(), or of `loss`. `then` holds the batches (x, target) of further steps of plain SGD with `rate`:
    their names begin with `step2.`, and `step1.conv1.w` is the weight after the first. It gives a verdict:
    `.is_right`, `.text()`, `.mistakes`.

    `check(net)` runs the laws on every layer at its shape: backward is the exact derivative of forward over fractions,
    and compiled it is the same; the result has `.is_right`, `.text()` and a row a layer. `check(layer, input)` does so
    for one layer and raises LawError where it breaks a law. AnswerError and DataError where nothing can be compared.
    """
    from plaingrad.checking.functions import in_python

    seeds = require_whole("plaingrad.check", "seeds", seeds, 1)
    if isinstance(subject, Layer):
        return in_python.check_layer(subject, x if input is None else input, seeds)
    if not isinstance(subject, Network):
        raise SettingError(f"plaingrad.check takes a Network or a Layer, got {type(subject).__name__}")
    if x is None and gradients is None:
        return in_python.check_laws(subject, seeds)
    return in_python.check_network(subject, x, target, gradients, loss, rate, then)


def assert_gradients(
    subject: Layer | Callable[..., Any], backward: Callable[..., Any] | None = None, /, *inputs: Any,
    forward: Callable[..., Any] | None = None, input: tuple[int, ...] | None = None, images: int = 3, seed: int = 0,
    weights: Any = None,
) -> None:  # fmt: skip
    """AssertionError, with what is wrong in words, unless a function computes the gradients it should.

    `assert_gradients(layer, backward, input=(2, 5, 6))` compares with a layer of plaingrad on random numbers:
    backward(dy, x, w, b) gives dx, dw and db as a tuple (None for one that is not computed) or a mapping of these
    names; a layer without weights leaves out w and b, and may give dx alone. forward(x, w, b) is compared where given;
    a usual choice of its own, such as a kernel that is turned, is right where backward makes it too.
    Arrays are float64, (image, channel, row, column), (filter, channel, row, column) and (unit, input); dy is the
    gradient of a loss with respect to y, random, for `images` images. `weights` are drawn unless given.

    `assert_gradients(forward, backward, x, w, …)` compares with differences of forward, any function of float64 arrays
    with one array as its output: backward(dy, x, w, …) gives a gradient for each input, in order or under its name in
    forward; what is no such input is closed over. Steps and tolerances follow from how well the differences converge;
    an output at a kink is left out there, and looked at beside it.
    """
    __tracebackhide__ = True
    require_whole("assert_gradients", "seed", seed, 0)
    if isinstance(subject, type) and issubclass(subject, Layer):
        raise SettingError(f"assert_gradients got {subject.__name__}, which is no layer yet; did you forget its ()?")
    if isinstance(subject, Layer):
        from plaingrad.checking.functions.single_function import assert_layer

        if inputs:
            raise SettingError("for a layer the numbers are drawn: give input=(channels, rows, columns), and weights=")
        assert_layer(subject, forward, backward, input, images, seed, weights)
        return
    from plaingrad.checking.functions.differences import assert_derivative

    if forward is not None or input is not None or weights is not None:
        raise SettingError("for functions give the arrays themselves: assert_gradients(forward, backward, x, w)")
    if not callable(subject) or not callable(backward) or not inputs:
        raise SettingError("assert_gradients takes (layer, backward, input=…) or (forward, backward, x, …)")
    assert_derivative(subject, backward, inputs, seed)


def check_module(
    module: Any, x: Any, target: Any, loss: Any = "cross-entropy", *, stands_for: Mapping[Any, Any] | None = None
) -> "OwnVerdict":
    """The verdict on a PyTorch module: what autograd makes of it, against the same layers of plaingrad.

    module is an nn.Sequential of Conv2d, Linear, Flatten, activations and pools; x (image, channel, row, column) and
    target as torch takes them. `loss` is "cross-entropy", "mse" or a function of (output, target). A module of your
    own, such as one around an autograd.Function, is told by what it stands for: `stands_for={1: plaingrad.Conv(3)}`,
    with its place, its name or "loss"; its parameters are `weight` and `bias`. No `.grad` is touched. SettingError for
    a module that plaingrad has no layer for; MissingError without PyTorch.
    """
    from plaingrad.checking.functions.torch_modules import verdict_on

    return verdict_on(module, x, target, loss, stands_for or {})
