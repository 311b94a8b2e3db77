"""The words of a case: what each field means and what each quantity is."""

from typing import Any

from plaingrad.network.network import Network
from plaingrad.textbook.layer import Shape

FIELDS = {
    "about": (
        "A small network with all its numbers. Compute the quantities named under answer.quantities, as many as you "
        "have, and write them as one JSON object of names and nested lists (or an NPZ file, or a folder of NAME.csv); "
        "then run: plaingrad check CASE ANSWER"
    ),
    "network": (
        "the layers from first to last; input and output are shapes for one image, (channel, row, column) or one axis. "
        'size, stride, padding and dilation are [rows, columns]; padding is with zeros, on each side ("same": '
        "enough to keep the size where the stride is 1; an odd row or column is added at the bottom or on the right). "
        "A convolution does not rotate its kernel: "
        "y[k,i,j] = b[k] + sum of w[k,c,u,v] * x[c,i*stride+u-padding,j*stride+v-padding]. A window that does not fit "
        "completely is left out, but in ceil_mode a last one that begins in the image or the padding before it stays. "
        "Pooling ignores the padding, unless mean pooling has count_padding, and what hangs over it; a divisor is what "
        "mean pooling divides the sum by instead of the number of pixels; of equal maxima "
        "the first in reading order gets the error. The derivative of ReLU at 0 is 0. Flatten orders the numbers by "
        "channel, then row, then column"
    ),
    "loss": "the loss of one image; the loss of a batch is the mean over its images",
    "rate": "the learning rate: after each step every weight becomes w - rate * dw",
    "weights": "before the first step: a kernel is (filter, channel, row, column), dense weights are (unit, input)",
    "steps": (
        "for each step x (image, channel, row, column) and target (image, output); later steps use the new weights"
    ),
    "answer": (
        "LAYER.y is an output, LAYER.dy the gradient of the loss with respect to it, LAYER.dx to the layer's input, "
        "LAYER.dw and LAYER.db to its weights and biases; names without a step are those of step 1, step2.… those of "
        "step 2; stepN.LAYER.w is the weight after step N. Leave out what you do not have. If your program stores "
        "arrays with their axes in another order, write them so: the check recognises it"
    ),
}
QUANTITIES = {
    "y": "the output of {}",
    "dx": "the gradient of the loss with respect to the input of {}",
    "dw": "the gradient with respect to the weights of {}",
    "db": "the gradient with respect to the biases of {}",
}


def about(layer: str, quantity: str) -> str:
    """What a quantity is."""
    return QUANTITIES.get(quantity, f"the gradient with respect to {quantity[1:]} of {{}}").format(layer)


def asked(net: Network, count: int, batches: int) -> dict[str, Any]:
    """Every quantity a program may answer of so many images in so many batches: its shape, and what it is."""
    told: dict[str, Any] = {}
    steps = net.steps
    for number in range(1, batches + 1):
        prefix, of_step = ("", "") if number == 1 else (f"step{number}.", f" in step {number}")
        rows: list[tuple[str, Shape, str]] = [
            *((f"{step.name}.y", (count, *step.y), about(step.name, "y")) for step in steps.values()),
            ("loss", (), "the mean over the images of the loss"),
            ("loss.dx", (count, *net.output), "the gradient of the loss with respect to the network's output"),
        ]
        for step in reversed(steps.values()):
            weights = step.weights.items()
            rows += [(f"{step.name}.d{name}", each.shape, about(step.name, "d" + name)) for name, each in weights]
            rows.append((f"{step.name}.dx", (count, *step.x), about(step.name, "dx")))
        told |= {prefix + name: {"shape": list(shape), "about": text + of_step} for name, shape, text in rows}
        for step in steps.values():
            for name, each in step.weights.items():
                whole = f"step{number}.{step.name}.{name}"
                told[whole] = {"shape": list(each.shape), "about": f"{step.name}.{name} after step {number}"}
    return told
