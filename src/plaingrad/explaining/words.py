"""What arrays, axes and signs are called, in short sentences. The reasons have their own, in `reasons.py`."""

from collections.abc import Mapping
from typing import Any

from plaingrad.explaining.twin import INPUT, Sheet, Twin
from plaingrad.textbook.layer import Weights

AXES = {
    "n": "image: index in the batch",
    "k": "filter, unit or class: index of the output",
    "c": "channel or input: index of the input",
    "i": "row",
    "j": "column",
    "u": "row inside the window",
    "v": "column inside the window",
    "m": "position in the flattened array",
}
SPARE = "qpghabrs"

RECORDS = {
    "Conv": "A small window of weights slides over the image. At each place the numbers under it are multiplied by the "
    "weights and added up: one output number for each place and each filter.",
    "Dense": "Each output is a sum over all inputs, each multiplied by a weight of its own.",
    "activation": "An activation in the same layer then passes what is above zero.",
    "Flatten": "Feature maps are reshaped into one long row. Only the shape changes: every number is copied, "
    "forward and back.",
    "MaxPool": "The output is the largest number of each small window. Its error goes back to that pixel (the winner).",
    "MeanPool": "The output is the mean of each small window. Its error is divided equally among the pixels.",
    "L2Pool": "The output is the square root of the sum of squares of each small window. Larger numbers get more of "
    "its error.",
    "ReLU": "Numbers above zero pass; the others become 0. An error passes where its number did.",
    "LeakyReLU": "Numbers above zero pass; the others are multiplied by a small slope. Errors are treated alike.",
    "Sigmoid": "Each number is squeezed between 0 and 1. Near either end its slope, and with it the error, is small.",
    "Tanh": "Each number is squeezed between −1 and 1. Near either end its slope, and with it the error, is small.",
    "ELU": "Numbers above zero pass; the others bend down to a limit. An error is multiplied by the slope there.",
    "SiLU": "Each number is multiplied by its own sigmoid: large ones pass, very negative ones become almost 0.",
    "GELU": "Each number is multiplied by Φ, the share of a normal distribution that lies below it: large ones pass, "
    "very negative ones become almost 0.",
    "TanhGELU": "GELU, with Φ replaced by a formula with tanh that is near enough.",
    "GlobalMeanPool": "Each map becomes one number, its mean. Its error is divided equally among all pixels.",
    "BatchNorm": "Each channel is moved to mean 0 and variance 1 over all pixels of all images that run together, then "
    "multiplied by a weight and moved by a bias that are trained.",
    "GroupNorm": "In each image a group of channels is moved to mean 0 and variance 1, then each channel is "
    "multiplied by a weight and moved by a bias that are trained.",
    "Dropout": "In training some numbers, drawn at random, become 0, and the others are made larger by as much as that "
    "takes away on average. A trained network passes all on.",
    "Add": "The output of an earlier layer is added. An error goes back both ways, unchanged.",
    "Softmax": "The scores become probabilities: positive numbers whose sum is 1.",
    "SoftmaxCrossEntropy": "The scores become probabilities, and the loss is minus the logarithm of the probability of "
    "the true class. The gradient with respect to the scores is simple: probability minus target.",
    "WeightedCrossEntropy": "The scores become probabilities, and the loss is minus the sum of their logarithms times "
    "a target of which a share is spread evenly over all classes, and which is multiplied by each class's weight. "
    "The mean over the images divides by the sum of the weights of their targets.",
    "CrossEntropy": "The loss is minus the logarithm of the probability of the true class.",
    "MeanSquaredError": "The loss is the mean of the squared differences between outputs and targets.",
    "HalfSquaredError": "The loss is half the sum of the squared differences, so its gradient is just the difference.",
}
"""What layers and losses do, for someone who met them last week; a layer of one's own says it in its docstring."""

RULES = {
    "Conv": {
        "dx": "A pixel went into several outputs. Its error adds up, for each of them, the error of that output times "
        "the weight between the two.",
        "weight": "The same weight was used at every place of the window. Its gradient adds up, over all places, the "
        "error there times the pixel that the weight met.",
        "bias": "The bias was added to every output of its filter. Its gradient adds up their errors.",
    },
    "Dense": {
        "dx": "An input went into every output. Its error adds up, over all outputs, the error of the output times the "
        "weight between the two.",
        "weight": "The weight was used once. Its gradient is the error of its output times its input.",
        "bias": "The bias was added to one output. Its gradient is the error of that output.",
    },
    "Flatten": {"dx": "Only the shape changes: every error goes back to the place its number came from, unchanged."},
    "MaxPool": {
        "dx": "The error of a window goes, whole, to the pixel that was its maximum. Other pixels get nothing."
    },
    "MeanPool": {"dx": "The error of a window is divided equally among its pixels."},
    "L2Pool": {"dx": "The error of a window is shared out: each pixel gets it times pixel divided by output."},
    "ReLU": {"dx": "The error passes unchanged where the number was above zero, and becomes 0 elsewhere."},
    "LeakyReLU": {
        "dx": "The error passes unchanged where the number was above zero, and is multiplied by the small slope "
        "elsewhere."
    },
    "Sigmoid": {"dx": "The error is multiplied by the slope of the sigmoid, which is y × (1 − y)."},
    "Tanh": {"dx": "The error is multiplied by the slope of tanh, which is 1 − y²."},
    "ELU": {"dx": "The error passes unchanged where the number was above zero, and is multiplied by e^x elsewhere."},
    "SiLU": {"dx": "The error is multiplied by the slope: the sigmoid s, times 1 + x × (1 − s)."},
    "GELU": {"dx": "The error is multiplied by the slope Φ(x) + x × φ(x), with φ the slope of Φ."},
    "TanhGELU": {"dx": "The error is multiplied by the slope of the formula with tanh."},
    "GlobalMeanPool": {"dx": "The error of a channel is divided equally among all its pixels."},
    "BatchNorm": {
        "dx": "Three ways lead from an output back to a number: straight through, times w divided by the deviation; "
        "through the mean, which every number of the channel changed; and through the variance. The last two are "
        "subtracted.",
        "weight": "The weight was used at every pixel of its channel, in every image. Its gradient adds up the error "
        "there times the normalised number.",
        "bias": "The bias was added at every pixel of its channel. Its gradient adds up the errors.",
    },
    "GroupNorm": {
        "dx": "Three ways lead from an output back to a number: straight through, times w divided by the deviation; "
        "through the mean, which every number of the group changed; and through the deviation. The last two are "
        "subtracted.",
        "weight": "The weight was used at every pixel of its channel. Its gradient adds up the error there times the "
        "normalised number.",
        "bias": "The bias was added at every pixel of its channel. Its gradient adds up the errors.",
    },
    "Dropout": {"dx": "The error goes back as the number went: 0 where it was dropped, else divided by 1 − rate."},
    "Add": {
        "dx": "A sum hands its error on to both of its parts, unchanged: this is the part on the direct way.",
        "dskip": "A sum hands its error on to both of its parts, unchanged: this is the part that the skip brought.",
    },
    "Softmax": {
        "dx": "Every probability depends on every score: a score's error is y times the difference between its own "
        "output's error and the mean of all, weighted by their probabilities."
    },
    "SoftmaxCrossEntropy": {"dx": "The first error, that of a score, is simple: probability minus target."},
    "WeightedCrossEntropy": {
        "dx": "The first error, that of a score, is the probability, times the sum of the weighted target over all "
        "classes, minus the weighted target of its own class."
    },
    "CrossEntropy": {
        "dx": "The first error is −1 divided by the probability of the true class; the other classes get none."
    },
    "MeanSquaredError": {
        "dx": "The first error is the difference between output and target, times 2, divided by the number of outputs."
    },
    "HalfSquaredError": {"dx": "The first error is the difference between output and target."},
}
"""How each layer and loss hands the error back, in a sentence or two: to its input, its weights, its biases."""

TWO_WAYS = (
    "The output went two ways: into the next layer, and over a skip into a later one. Each brings an error back, and "
    "the two are added."
)
"""The rule of an output that a skip begins at; its error is made of two, whatever the layer is."""

GLOSSARY = {
    "x": "the input of a layer",
    "y": "the output of a layer",
    "w": "a weight: a number that is trained",
    "b": "a bias: added to every weighted sum of its filter or unit",
    "d": "d + a name is a gradient: the derivative of the loss with respect to that name",
    "dy": "the error of a layer: the derivative of the loss with respect to its output",
    "dx": "the derivative of the loss with respect to a layer's input: the error it passes back to the previous layer",
    "dw": "the gradient of a weight: the derivative of the loss with respect to it; training subtracts it",
    "db": "the gradient of a bias",
    "z": "the weighted sum before the activation: the bias plus each weight times its input",
    "dz": "the derivative of the loss with respect to z: dy times the derivative of the activation",
    "winner": "the position of the largest pixel of each window, counted row by row; it gets the error",
    "probability": "softmax of the scores: positive numbers that add up to 1",
    "target": "what the output should be: 1 for the true class, 0 for the others",
    "weighted_target": "the target, of which a share is spread over all classes, times the weight of each class",
    "log_probability": "the natural logarithm of a probability, computed directly from the scores",
    "share": "the weight of this image in a mean over the images: 1 divided by their number, or by the sum of the "
    "weights of their targets",
    "mask": "1 where a number stays, 0 where it is dropped; drawn anew in every step",
    "mean": "the mean: in batch normalisation that of a channel, in group normalisation that of a group of channels",
    "variance": "the variance of a channel: the mean of the squared distances of its numbers from their mean",
    "deviation": "the standard deviation: the square root of the variance, to which a small number was added",
    "normal": "the normalised number: the input minus the mean, divided by the square root of the variance, to which a "
    "small number was added",
    "mean_error": "the mean, over a group, of w times the error",
    "mean_product": "the mean, over a group, of w times the error times the normalised number",
    "running_mean": "the mean that a trained network takes: it follows the means met in training",
    "running_variance": "the variance that a trained network takes: it follows the variances met in training",
    "skip": "the output of an earlier layer, which is added here",
    "dskip": "the error that goes back over the skip, to the earlier layer whose output was added",
    "Φ": "the share of a standard normal distribution that lies below a number",
    "φ": "the density of the standard normal distribution, the slope of Φ",
    "hit": "1 where the largest output is the true class, else 0",
    "Σ": "the sum over all values of the index below it",
    "×": "times",
    "max": "the largest",
    "min": "the smallest",
    "first": "the first in reading order",
    "mod": "the remainder of a division by a whole number",
    "⌊": "⌊ ⌋: rounded down to a whole number",
    "⌈": "⌈ ⌉: rounded up to a whole number",
    "e": "2.718…, the base of the exponential",
    "ln": "the natural logarithm",
    "after": "the parameter after one step of the optimiser",
}


def about(twin: Twin, sheet: Sheet) -> str:
    """One sentence: what an array is."""
    layer, name = sheet.layer, sheet.quantity
    if sheet.name == INPUT:
        net = twin.run.net
        scaled = bool((net.offset != 0).any() or (net.factor != 1).any())
        more = ": pixels minus the mean of the training images, divided by their standard deviation" if scaled else ""
        return f"the image as the network receives it{more}"
    if layer == "loss":
        least = "less is better" if getattr(twin.run.loss, "label_smoothing", 0) else "0 would be perfect"
        known = {"y": f"the loss: how wrong the output is for this image; {least}"}
        return known.get(name) or GLOSSARY.get(name, f"{name}, which the loss stores")
    step = twin.net.steps[layer]
    own, _, more = name.partition("_")
    if own in step.weights and more:
        kind = "weight" if step.weights[own].inputs else "bias"
        return (
            f"each {kind} of {layer} after one step of the optimiser"
            if more == "after"
            else f"the {more} that the optimiser keeps from step to step for each {kind} of {layer}"
        )
    if name in step.weights:
        return f"{'the weights' if step.weights[name].inputs else 'the biases'} of {layer}, which are trained"
    if name[:1] == "d" and name[1:] in step.weights:
        kind = "each weight" if step.weights[name[1:]].inputs else "each bias"
        return f"the derivative of the loss with respect to {kind} of {layer}: the sum of one term for each use"
    known = {
        "y": f"the output of {layer}",
        "dy": f"the error of {layer}: the derivative of the loss with respect to its output",
        "dx": f"the derivative of the loss with respect to the input of {layer}",
        "z": f"the weighted sums of {layer}, before its activation",
        "dz": f"the derivative of the loss with respect to the weighted sums of {layer}, before its activation",
        "winner": f"the position of the largest pixel of each window of {layer}, counted row by row",
    }
    return known.get(name) or GLOSSARY.get(name, f"{name}, which {layer} stores")


def rules(owner: Any, weights: Mapping[str, Weights], goes_two_ways: bool = False) -> dict[str, str]:
    """How a layer or a loss hands the error back, for each array that it fills: dx, dz, the gradients of its weights;
    and dy where its output `goes_two_ways`.

    A layer of one's own has none for what it fills; what it does stands in its docstring.
    """
    known = RULES.get(type(owner).__name__, {})
    of_activation = RULES.get(type(getattr(owner, "activation", None)).__name__, {})
    kinds = {"dx": "dx", "dskip": "dskip"}
    kinds |= {f"d{name}": "weight" if each.inputs else "bias" for name, each in weights.items()}
    found = {name: known[kind] for name, kind in kinds.items() if kind in known}
    found |= {"dy": TWO_WAYS} if goes_two_ways else {}
    return found | ({"dz": of_activation["dx"]} if of_activation else {})


def role(twin: Twin, sheet: Sheet) -> str:
    """value, error, weight, gradient or other: what an array is drawn with."""
    step = twin.net.steps.get(sheet.layer)
    if step is not None:
        if sheet.quantity in step.weights:
            return "weight"
        if sheet.quantity.startswith("d") and sheet.quantity[1:] in step.weights:
            return "gradient"
    if sheet.quantity in ("x", "y", "z") and sheet.layer != "loss":
        return "value"
    return "error" if sheet.quantity in ("dx", "dy", "dz", "dskip") else "other"
