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
MODES = {  # of networks with such layers
    "BatchNorm": (
        "mean and variance are those of a channel over all images and places of the batch, the variance divided by "
        "their number; y = w * (x - mean) / sqrt(variance + epsilon) + b. After each step, of a mean and a variance "
        "that is divided by one less than their number: "
        "running_mean += momentum * (mean - running_mean), and running_variance likewise"
    ),
    "GroupNorm": (
        "mean and variance are those of one image's group of channels over all places, the variance divided by their "
        "number; y = w * (x - mean) / sqrt(variance + epsilon) + b, with a w and a b for each channel. The channels "
        "of a group follow one another"
    ),
    "Dropout": (
        "y = x * mask / (1 - rate), with the mask that the step tells under masks: 1 for what stays, 0 for what is "
        "left out"
    ),
    "Add": (
        "y = x + the output of the layer that it names; where that has more rows and columns every second one is "
        "taken, or every third, and channels that it lacks count as 0. LAYER.dskip is the gradient that goes back to "
        "that layer from here; LAYER.dy of that one is the sum of both gradients that reach it"
    ),
}
TRAINED = (
    "the step after the last is the network as it is then, trained: the batch of the last step goes forward once more; "
    "Dropout leaves all numbers as they are, BatchNorm takes its running values in place of the batch's"
)
STATE = "kept from step to step, and not trained by gradients: before the first step"
QUANTITIES = {
    "y": "the output of {}",
    "dx": "the gradient of the loss with respect to the input of {}",
    "dw": "the gradient with respect to the weights of {}",
    "db": "the gradient with respect to the biases of {}",
    "dy": "the gradient of the loss with respect to the output of {}: the sum of those of its two ways on",
    "dskip": "the gradient of the loss with respect to the output that {} adds",
    "running_mean": "the running mean of each channel of {}",
    "running_variance": "the running variance of each channel of {}",
}


def fields_of(net: Network) -> dict[str, str]:
    """What each field of a case means, and what is to be known of its layers."""
    layers = [step.layer for step in net.steps.values()]
    kinds = list(dict.fromkeys(type(layer).__name__ for layer in layers))
    told = {name: text for name, text in FIELDS.items() if name != "about"}
    told |= {kind: MODES[kind] for kind in kinds if kind in MODES}
    told |= {"state": STATE} if any(step.state for step in net.steps.values()) else {}
    return told | ({"trained": TRAINED} if any(layer.infer is not None for layer in layers) else {})


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
        starts = {step.layer.skips() for step in steps.values()}
        for step in reversed(steps.values()):
            weights, skip = step.weights.items(), step.layer.skips()
            if step.name in starts:
                rows.append((f"{step.name}.dy", (count, *step.y), about(step.name, "dy")))
            rows += [(f"{step.name}.d{name}", each.shape, about(step.name, "d" + name)) for name, each in weights]
            rows.append((f"{step.name}.dx", (count, *step.x), about(step.name, "dx")))
            if skip:
                rows.append((f"{step.name}.dskip", (count, *steps[skip].y), about(step.name, "dskip")))
        told |= {prefix + name: {"shape": list(shape), "about": text + of_step} for name, shape, text in rows}
        for step in steps.values():
            for name, each in step.weights.items():
                whole = f"step{number}.{step.name}.{name}"
                told[whole] = {"shape": list(each.shape), "about": f"{step.name}.{name} after step {number}"}
            for name, kept in step.state.items():
                text = f"{about(step.name, name)} after step {number}"
                told[f"step{number}.{step.name}.{name}"] = {"shape": list(kept.shape), "about": text}
    if any(step.layer.infer is not None for step in steps.values()):
        for step in steps.values():
            text = f"{about(step.name, 'y')} in step {batches + 1}, of the network as it is then, trained"
            told[f"step{batches + 1}.{step.name}.y"] = {"shape": [count, *step.y], "about": text}
    return told
