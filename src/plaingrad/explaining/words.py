"""What arrays, axes and signs are called, in short sentences. The reasons have their own, in `reasons.py`."""

from plaingrad.explaining.twin import INPUT, Sheet, Twin

AXES = {
    "n": "image: which one of the batch",
    "k": "filter, unit or class: which one of the outputs",
    "c": "channel or input: which one of the inputs",
    "i": "row",
    "j": "column",
    "u": "row inside the window",
    "v": "column inside the window",
    "m": "place in a long row of numbers",
}
SPARE = "qpghabrs"

RECORDS = {
    "Conv": "A small window of weights slides over the image. At each place the numbers under it are multiplied by the "
    "weights and added up: one output number for each place and each filter.",
    "Dense": "Each output is a sum over all inputs, each multiplied by a weight of its own.",
    "activation": "An activation in the same step then lets through what is above zero.",
    "Flatten": "Maps are laid out as one long row. Only the shape changes; forward and back, every number is copied.",
    "MaxPool": "Of each small window the largest number is kept. Its error goes back to the pixel that won.",
    "MeanPool": "Of each small window the mean is kept. Its error is shared out equally.",
    "L2Pool": "Of each small window the root of the sum of squares is kept. Larger numbers get more of its error.",
    "ReLU": "What is above zero passes; the rest becomes 0. An error passes where its number did.",
    "LeakyReLU": "What is above zero passes; of the rest a small share does. Errors are treated the same.",
    "Sigmoid": "Each number is squeezed between 0 and 1. Near either end its slope, and with it the error, is small.",
    "Tanh": "Each number is squeezed between −1 and 1. Near either end its slope, and with it the error, is small.",
    "Softmax": "The scores become probabilities: positive, and together 1.",
    "SoftmaxCrossEntropy": "The scores become probabilities, and the loss is minus the logarithm of that of the true "
    "class. The error it sends back is simple: probability minus target.",
    "CrossEntropy": "The loss is minus the logarithm of the probability of the true class.",
    "MeanSquaredError": "The loss is the mean of the squared differences between the outputs and what they should be.",
    "HalfSquaredError": "The loss is half the sum of the squared differences, so the error is just the difference.",
}
"""What layers and losses do, for someone who met them last week; a layer of one's own says it in its docstring."""

GLOSSARY = {
    "x": "what goes into a layer",
    "y": "what comes out of a layer",
    "w": "a weight: a number that training changes",
    "b": "a bias: added to every sum of its filter or unit",
    "d": "d + a name is a gradient: the derivative of the loss with respect to that name",
    "dy": "the error of a layer: the derivative of the loss with respect to its output",
    "dx": "the derivative of the loss with respect to a layer's input: the error it hands back to the layer before",
    "dw": "the gradient of a weight: the derivative of the loss with respect to it; training goes the other way",
    "db": "the gradient of a bias",
    "z": "the sum before the activation: a bias, and each weight times its input",
    "dz": "the derivative of the loss with respect to z: dy where the activation let z through",
    "winner": "the place of the pixel that won its window, counted row by row; backward sends the error there",
    "probability": "softmax of the scores: positive numbers that add up to 1",
    "target": "what the output should be: 1 for the true class, 0 for the others",
    "log_probability": "the natural logarithm of a probability, worked out without the detour through it",
    "share": "the share this image has in the loss of the batch: 1 divided by the number of images",
    "hit": "1 where the largest output is the true class, else 0",
    "Σ": "the sum over every value of the letter below it",
    "×": "times",
    "max": "the largest",
    "min": "the smallest",
    "first": "the first in reading order",
    "mod": "what a division by a whole number leaves over",
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
        more = ": pixels, less the mean of the training images, divided by their spread" if scaled else ""
        return f"the image as the network takes it{more}"
    if layer == "loss":
        known = {"y": "the loss: how wrong the output is for this image; 0 would be perfect"}
        return known.get(name) or GLOSSARY.get(name, f"{name}, which the loss keeps")
    step = twin.net.steps[layer]
    own, _, more = name.partition("_")
    if own in step.weights and more:
        kind = "weight" if step.weights[own].inputs else "bias"
        return (
            f"each {kind} of {layer} after one step of the optimiser"
            if more == "after"
            else f"the {more} that the optimiser carries from step to step for each {kind} of {layer}"
        )
    if name in step.weights:
        return f"{'the weights' if step.weights[name].inputs else 'the biases'} of {layer}, which training changes"
    if name[:1] == "d" and name[1:] in step.weights:
        kind = "each weight" if step.weights[name[1:]].inputs else "each bias"
        return f"the derivative of the loss with respect to {kind} of {layer}: a term for each use, added up"
    known = {
        "y": f"what {layer} puts out",
        "dy": f"the error of {layer}: the derivative of the loss with respect to its output",
        "dx": f"the derivative of the loss with respect to the input of {layer}",
        "z": f"the sums of {layer}, before its activation",
        "dz": f"the derivative of the loss with respect to the sums of {layer}, before its activation",
        "winner": f"which pixel won each window of {layer}: its place, counted row by row",
    }
    return known.get(name, f"{name}, which {layer} keeps")


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
    return "error" if sheet.quantity in ("dx", "dy", "dz") else "other"
