"""A small convolutional network by hand: forward, backward and update in plain loops, and no library.

    plaingrad case -o case.json
    python main.py case.json > answer.json      # or: python main.py < case.json > answer.json
    plaingrad check case.json answer.json

One letter an axis: image n, channel or input c, filter or unit k, output row i and column j, window row u and column v.
What enters a layer is x, what leaves it y, its weights w and biases b. A d before the name is the gradient of the
loss with respect to it: dy comes from the layer above, dx goes to the layer below.
"""

import json
import math
import sys
from itertools import product


class CaseError(Exception):
    """The case cannot be computed; the message says why."""


def zeros(*shape):
    """Nested lists of that shape: zeros(2, 3) is [[0, 0, 0], [0, 0, 0]]."""
    return [zeros(*shape[1:]) for _ in range(shape[0])] if shape else 0.0


def shape_of(x):
    return (len(x), *shape_of(x[0])) if isinstance(x, list) else ()


def places(*shape):
    """All places of an array in reading order, as so many nested loops would visit them."""
    return product(*map(range, shape))


def pairwise(function, a, b):
    """The function of each number of a and the one at the same place of b."""
    if isinstance(a, list):
        return [pairwise(function, *each) for each in zip(a, b, strict=True)]
    return function(a, b)


def steps_of_window(extent, size, stride, dilation=1):
    """How often a window fits: a remainder that is shorter than the stride is never reached.

    With a dilation its pixels lie that far apart.
    """
    reach = (size - 1) * dilation + 1
    require(extent >= reach, f"a window of {reach} does not fit into {extent} rows or columns")
    return (extent - reach) // stride + 1


# Convolution. A cross-correlation, in fact: the kernel is not turned.


def pad(x, padding):
    """x in a frame of zeros, so that no loop has to ask whether it is still inside the image."""
    images, channels, rows, columns = shape_of(x)
    px = zeros(images, channels, rows + 2 * padding[0], columns + 2 * padding[1])
    for n, c, i, j in places(images, channels, rows, columns):
        px[n][c][i + padding[0]][j + padding[1]] = x[n][c][i][j]
    return px


def crop(px, padding):
    """What is within the frame: zeros that were put around an image have no gradient to pass on."""
    bottom, right = len(px[0][0]) - padding[0], len(px[0][0][0]) - padding[1]
    return [[[row[padding[1] : right] for row in rows[padding[0] : bottom]] for rows in channels] for channels in px]


def conv_forward(x, w, b, stride, padding, dilation):
    px = pad(x, padding)
    images, channels, rows, columns = shape_of(px)
    filters, _, window_rows, window_columns = shape_of(w)
    out_rows = steps_of_window(rows, window_rows, stride[0], dilation[0])
    out_columns = steps_of_window(columns, window_columns, stride[1], dilation[1])
    y = zeros(images, filters, out_rows, out_columns)
    for n, k, i, j in places(images, filters, out_rows, out_columns):
        total = b[k]
        for c, u, v in places(channels, window_rows, window_columns):
            row, column = i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]
            total += w[k][c][u][v] * px[n][c][row][column]
        y[n][k][i][j] = total
    return y


def conv_backward_weights(x, w, dy, stride, padding, dilation):
    """One weight is used at every position of every image: its gradient is the sum over all its uses."""
    px = pad(x, padding)
    images, _, out_rows, out_columns = shape_of(dy)
    dw = zeros(*shape_of(w))
    for k, c, u, v in places(*shape_of(w)):
        total = 0.0
        for n, i, j in places(images, out_rows, out_columns):
            row, column = i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]
            total += dy[n][k][i][j] * px[n][c][row][column]
        dw[k][c][u][v] = total
    return dw


def conv_backward_bias(dy):
    """The bias of a filter is added at every position, so its gradient is the sum of all their errors."""
    images, filters, out_rows, out_columns = shape_of(dy)
    db = zeros(filters)
    for n, k in places(images, filters):
        total = 0.0
        for i, j in places(out_rows, out_columns):
            total += dy[n][k][i][j]
        db[k] += total
    return db


def conv_backward_input(x, w, dy, stride, padding, dilation):
    """Each error goes back the way it came: to every pixel under its window, times the weight that looked there.

    Windows overlap and all filters look at the same pixel, hence +=. Written from the errors' side the kernel is
    not turned: u and v are the same here as on the way forward.
    """
    dpx = zeros(*shape_of(pad(x, padding)))
    for n, k, i, j in places(*shape_of(dy)):
        for c, u, v in places(*shape_of(w[k])):
            row, column = i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]
            dpx[n][c][row][column] += w[k][c][u][v] * dy[n][k][i][j]
    return crop(dpx, padding)


# ReLU, max pool, flatten


def relu_forward(x):
    return [relu_forward(each) for each in x] if isinstance(x, list) else max(x, 0.0)


def relu_backward(x, dy):
    """An error passes where the unit was on; at 0 itself the slope is taken as 0."""
    return pairwise(lambda value, error: error if value > 0 else 0.0, x, dy)


def winner(image, i, j, size, stride, padding):
    """Row and column of the largest value under the window; of equal ones the first in reading order.

    What lies in the padding is no value, not even a zero.
    """
    under = [(i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]) for u, v in places(*size)]
    inside = [(row, column) for row, column in under if 0 <= row < len(image) and 0 <= column < len(image[0])]
    return max(inside, key=lambda place: image[place[0]][place[1]])  # max keeps the first of equals


def maxpool_forward(x, size, stride, padding):
    images, channels, rows, columns = shape_of(x)
    out_rows = steps_of_window(rows + 2 * padding[0], size[0], stride[0])
    out_columns = steps_of_window(columns + 2 * padding[1], size[1], stride[1])
    y = zeros(images, channels, out_rows, out_columns)
    for n, c, i, j in places(*shape_of(y)):
        row, column = winner(x[n][c], i, j, size, stride, padding)
        y[n][c][i][j] = x[n][c][row][column]
    return y


def maxpool_backward(x, dy, size, stride, padding):
    """The error goes to the winner alone: had another pixel been a little larger, the output would be the same.

    Where windows overlap one pixel may have won several times: it is paid for each, hence +=.
    """
    dx = zeros(*shape_of(x))
    for n, c, i, j in places(*shape_of(dy)):
        row, column = winner(x[n][c], i, j, size, stride, padding)
        dx[n][c][row][column] += dy[n][c][i][j]
    return dx


def flatten_forward(x):
    images, channels, rows, columns = shape_of(x)
    return [[x[n][c][i][j] for c, i, j in places(channels, rows, columns)] for n in range(images)]


def flatten_backward(x, dy):
    """Back to the shape it came from, in the order in which it was laid out."""
    dx = zeros(*shape_of(x))
    images, channels, rows, columns = shape_of(x)
    for n, c, i, j in places(images, channels, rows, columns):
        dx[n][c][i][j] = dy[n][(c * rows + i) * columns + j]
    return dx


# Dense, and the loss


def dense_forward(x, w, b):
    y = zeros(len(x), len(w))
    for n, k in places(*shape_of(y)):
        y[n][k] = b[k] + sum(w[k][c] * x[n][c] for c in range(len(x[n])))
    return y


def dense_backward_weights(x, w, dy):
    dw = zeros(*shape_of(w))
    for n, k, c in places(len(x), *shape_of(w)):
        dw[k][c] += dy[n][k] * x[n][c]
    return dw


def dense_backward_bias(dy):
    return [sum(dy[n][k] for n in range(len(dy))) for k in range(len(dy[0]))]


def dense_backward_input(x, w, dy):
    """The same weights the other way: each input is told by every unit that it fed."""
    dx = zeros(*shape_of(x))
    for n, k, c in places(len(x), *shape_of(w)):
        dx[n][c] += w[k][c] * dy[n][k]
    return dx


def softmax(scores):
    """The largest score is taken off first: the probabilities stay the same and exp cannot overflow."""
    grown = [math.exp(score - max(scores)) for score in scores]
    return [each / sum(grown) for each in grown]


def loss_forward(scores, target):
    """Minus the logarithm of the probability of the right class, its mean over the images."""
    total = 0.0
    for n in range(len(scores)):
        top = max(scores[n])
        log_sum = top + math.log(sum(math.exp(score - top) for score in scores[n]))
        total += sum(target[n][k] * (log_sum - scores[n][k]) for k in range(len(scores[n])))
    return total / len(scores)


def loss_backward(scores, target):
    """Softmax and logarithm together leave probability - target. The division is the mean's: no layer divides again."""
    probability = [softmax(each) for each in scores]
    return pairwise(lambda p, t: (p - t) / len(scores), probability, target)


# The network: layers by their kind


def forward(layer, x, weights):
    match layer["kind"]:
        case "Conv":
            w, b = weights_of(layer, weights)
            return conv_forward(x, w, b, *window_of(layer))
        case "ReLU":
            return relu_forward(x)
        case "MaxPool":
            return maxpool_forward(x, layer["size"], layer["stride"], layer["padding"])
        case "Flatten":
            return flatten_forward(x)
        case "Dense":
            return dense_forward(x, *weights_of(layer, weights))


def window_of(layer):
    """Stride, padding and dilation of a convolution, each for rows and for columns."""
    return layer["stride"], layer["padding"], layer.get("dilation", [1, 1])


def weights_of(layer, weights):
    """The layer's w and b; without a bias b is as good as zeros."""
    w = weights[f"{layer['name']}.w"]
    return w, weights.get(f"{layer['name']}.b", zeros(len(w)))


def backward_weights(layer, x, dy, weights):
    """The gradient of each array of weights that the layer has, by the name it has after the d."""
    if layer["kind"] not in ("Conv", "Dense"):
        return {}
    w, _ = weights_of(layer, weights)
    if layer["kind"] == "Conv":
        gradients = {"w": conv_backward_weights(x, w, dy, *window_of(layer))}
        return gradients | ({"b": conv_backward_bias(dy)} if layer["bias"] else {})
    gradients = {"w": dense_backward_weights(x, w, dy)}
    return gradients | ({"b": dense_backward_bias(dy)} if layer["bias"] else {})


def backward_input(layer, x, dy, weights):
    match layer["kind"]:
        case "Conv":
            return conv_backward_input(x, weights_of(layer, weights)[0], dy, *window_of(layer))
        case "ReLU":
            return relu_backward(x, dy)
        case "MaxPool":
            return maxpool_backward(x, dy, layer["size"], layer["stride"], layer["padding"])
        case "Flatten":
            return flatten_backward(x, dy)
        case "Dense":
            return dense_backward_input(x, weights_of(layer, weights)[0], dy)


def step(layers, weights, x, target, rate):
    """One step of plain gradient descent on one batch. Changes the weights; returns all that came up, by name."""
    told = {}
    entered = {}
    for layer in layers:
        entered[layer["name"]] = x
        x = told[f"{layer['name']}.y"] = forward(layer, x, weights)
    told["loss"] = loss_forward(x, target)
    error = told["loss.dx"] = loss_backward(x, target)
    for layer in reversed(layers):
        name, x = layer["name"], entered[layer["name"]]
        told[f"{name}.dy"] = error
        gradients = backward_weights(layer, x, error, weights)
        error = told[f"{name}.dx"] = backward_input(layer, x, error, weights)
        for part, gradient in gradients.items():  # only now: dx belongs to the weights that made y
            told[f"{name}.d{part}"] = gradient
            weights[f"{name}.{part}"] = pairwise(lambda old, d: old - rate * d, weights[f"{name}.{part}"], gradient)
            told[f"{name}.{part}"] = weights[f"{name}.{part}"]
    return told


def require(right, message):
    if not right:
        raise CaseError(message)


def check_layer(layer):
    """Say at once what this program does not know, before a wrong number is written."""
    name, kind = layer["name"], layer["kind"]
    known = ("Conv", "ReLU", "MaxPool", "Flatten", "Dense")
    require(kind in known, f"{name}: there is no {kind} here; this program knows {', '.join(known)}")
    if kind == "Conv":
        require(layer.get("groups", 1) == 1, f"{name}: this program knows no groups but 1")


def answer(case):
    """Every quantity that the case asks for, by its name. A name without a step is of the first."""
    layers = case["network"]["layers"]
    for layer in layers:
        check_layer(layer)
    loss = case["loss"]["kind"]
    require(loss == "SoftmaxCrossEntropy", f"there is no loss {loss} here; this program knows SoftmaxCrossEntropy")
    weights, found = dict(case["weights"]), {}
    for number, batch in enumerate(case["steps"], 1):
        for name, value in step(layers, weights, batch["x"], batch["target"], case["rate"]).items():
            found[f"step{number}.{name}"] = value
    full_names = {name: name if name in found else f"step1.{name}" for name in case["answer"]["quantities"]}
    return {name: found[full] for name, full in full_names.items() if full in found}


def main():
    try:
        with open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin as file:
            case = json.load(file)
        sys.stdout.write(json.dumps(answer(case)) + "\n")
    except (CaseError, OSError) as error:
        sys.exit(f"main.py: {error}")
    except KeyError as error:
        sys.exit(f"main.py: the case has no {error}")
    except (IndexError, TypeError, ValueError) as error:
        sys.exit(f"main.py: what was read is not a case: {error}")


if __name__ == "__main__":
    main()
