"use strict";
/*
 * A small convolutional network by hand: forward, backward and update in plain loops, and no package.
 *
 *     plaingrad case -o case.json
 *     node main.js case.json > answer.json      # or: node main.js < case.json > answer.json
 *     plaingrad check case.json answer.json
 *
 * One letter an axis: image n, channel or input c, filter or unit k, output row i and column j, window row u and column v.
 * What enters a layer is x, what leaves it y, its weights w and biases b. A d before the name is the gradient of the
 * loss with respect to it: dy comes from the layer above, dx goes to the layer below.
 */

const fs = require("node:fs");

/** The case cannot be computed; the message says why. */
class CaseError extends Error {}

function ensure(right, message) {
  if (!right) throw new CaseError(message);
}

/** Nested arrays of that shape: zeros(2, 3) is [[0, 0, 0], [0, 0, 0]]. */
function zeros(count, ...rest) {
  return Array.from({ length: count }, () => (rest.length > 0 ? zeros(...rest) : 0));
}

function shapeOf(x) {
  return Array.isArray(x) ? [x.length, ...shapeOf(x[0])] : [];
}

/** Calls visit(n, c, i, j) at every place of a shape of four axes, in reading order. */
function everyPlace([images, channels, rows, columns], visit) {
  for (let n = 0; n < images; n++)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) visit(n, c, i, j);
}

/** The function of each number of x and the one at the same place of other, whatever their shape. */
function pairwise(change, x, other) {
  return Array.isArray(x) ? x.map((each, at) => pairwise(change, each, other[at])) : change(x, other);
}

/**
 * How often a window fits: a remainder that is shorter than the stride is never reached. With a dilation its pixels lie
 * that far apart.
 */
function stepsOfWindow(extent, size, stride, dilation = 1) {
  const reach = (size - 1) * dilation + 1;
  ensure(extent >= reach, `a window of ${reach} does not fit into ${extent} rows or columns`);
  return Math.floor((extent - reach) / stride) + 1;
}

// Convolution. A cross-correlation, in fact: the kernel is not turned.

/** x in a frame of zeros, so that no loop has to ask whether it is still inside the image. */
function pad(x, [above, left]) {
  const [images, channels, rows, columns] = shapeOf(x);
  const px = zeros(images, channels, rows + 2 * above, columns + 2 * left);
  everyPlace(shapeOf(x), (n, c, i, j) => {
    px[n][c][i + above][j + left] = x[n][c][i][j];
  });
  return px;
}

/** What is within the frame: zeros that were put around an image have no gradient to pass on. */
function crop(px, [above, left]) {
  const within = (list, margin) => list.slice(margin, list.length - margin);
  return px.map((image) => image.map((rows) => within(rows, above).map((row) => within(row, left))));
}

function convForward(x, w, b, stride, padding, dilation) {
  const px = pad(x, padding);
  const [images, channels, rows, columns] = shapeOf(px);
  const [filters, , windowRows, windowColumns] = shapeOf(w);
  const outRows = stepsOfWindow(rows, windowRows, stride[0], dilation[0]);
  const outColumns = stepsOfWindow(columns, windowColumns, stride[1], dilation[1]);
  const y = zeros(images, filters, outRows, outColumns);
  everyPlace(shapeOf(y), (n, k, i, j) => {
    let sum = b[k];
    for (let c = 0; c < channels; c++)
      for (let u = 0; u < windowRows; u++)
        for (let v = 0; v < windowColumns; v++)
          sum += w[k][c][u][v] * px[n][c][i * stride[0] + u * dilation[0]][j * stride[1] + v * dilation[1]];
    y[n][k][i][j] = sum;
  });
  return y;
}

/** One weight is used at every position of every image: its gradient is the sum over all its uses. */
function convBackwardWeights(x, w, dy, stride, padding, dilation) {
  const px = pad(x, padding);
  const [images, , outRows, outColumns] = shapeOf(dy);
  const dw = zeros(...shapeOf(w));
  everyPlace(shapeOf(w), (k, c, u, v) => {
    for (let n = 0; n < images; n++)
      for (let i = 0; i < outRows; i++)
        for (let j = 0; j < outColumns; j++)
          dw[k][c][u][v] += dy[n][k][i][j] * px[n][c][i * stride[0] + u * dilation[0]][j * stride[1] + v * dilation[1]];
  });
  return dw;
}

/** The bias of a filter is added at every position, so its gradient is the sum of all their errors. */
function convBackwardBias(dy) {
  const db = zeros(dy[0].length);
  everyPlace(shapeOf(dy), (n, k, i, j) => {
    db[k] += dy[n][k][i][j];
  });
  return db;
}

/**
 * Each error goes back the way it came: to every pixel under its window, times the weight that looked there.
 * Windows overlap and all filters look at the same pixel, hence +=. Written from the errors' side the kernel is not
 * turned: u and v are the same here as on the way forward.
 */
function convBackwardInput(x, w, dy, stride, padding, dilation) {
  const [, channels, windowRows, windowColumns] = shapeOf(w);
  const dpx = zeros(...shapeOf(pad(x, padding)));
  everyPlace(shapeOf(dy), (n, k, i, j) => {
    for (let c = 0; c < channels; c++)
      for (let u = 0; u < windowRows; u++)
        for (let v = 0; v < windowColumns; v++)
          dpx[n][c][i * stride[0] + u * dilation[0]][j * stride[1] + v * dilation[1]] += w[k][c][u][v] * dy[n][k][i][j];
  });
  return crop(dpx, padding);
}

// ReLU, max pool, flatten

function reluForward(x) {
  return Array.isArray(x) ? x.map(reluForward) : Math.max(x, 0);
}

/** An error passes where the unit was on; at 0 itself the slope is taken as 0. */
function reluBackward(y, dy) {
  return pairwise((value, error) => (value > 0 ? error : 0), y, dy);
}

/**
 * Row and column of the largest value under the window; of equal ones the first in reading order. What lies in the
 * padding is no value, not even a zero.
 */
function winner(image, i, j, size, stride, padding) {
  let best = null;
  for (let u = 0; u < size[0]; u++)
    for (let v = 0; v < size[1]; v++) {
      const [row, column] = [i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]];
      const inside = row >= 0 && row < image.length && column >= 0 && column < image[0].length;
      if (inside && (best === null || image[row][column] > image[best[0]][best[1]])) best = [row, column];
    }
  return best;
}

function maxpoolForward(x, size, stride, padding) {
  const [images, channels, rows, columns] = shapeOf(x);
  const outRows = stepsOfWindow(rows + 2 * padding[0], size[0], stride[0]);
  const outColumns = stepsOfWindow(columns + 2 * padding[1], size[1], stride[1]);
  const y = zeros(images, channels, outRows, outColumns);
  everyPlace(shapeOf(y), (n, c, i, j) => {
    const [row, column] = winner(x[n][c], i, j, size, stride, padding);
    y[n][c][i][j] = x[n][c][row][column];
  });
  return y;
}

/**
 * The error goes to the winner alone: had another pixel been a little larger, the output would be the same.
 * Where windows overlap one pixel may have won several times: it is paid for each, hence +=.
 */
function maxpoolBackward(x, dy, size, stride, padding) {
  const dx = zeros(...shapeOf(x));
  everyPlace(shapeOf(dy), (n, c, i, j) => {
    const [row, column] = winner(x[n][c], i, j, size, stride, padding);
    dx[n][c][row][column] += dy[n][c][i][j];
  });
  return dx;
}

function flattenForward(x) {
  return x.map((image) => image.flat(2));
}

/** Back to the shape it came from, in the order in which it was laid out. */
function flattenBackward(x, dy) {
  const [, , rows, columns] = shapeOf(x);
  const dx = zeros(...shapeOf(x));
  everyPlace(shapeOf(x), (n, c, i, j) => {
    dx[n][c][i][j] = dy[n][(c * rows + i) * columns + j];
  });
  return dx;
}

// Dense, and the loss

function denseForward(x, w, b) {
  return x.map((row) => w.map((weights, k) => weights.reduce((sum, each, c) => sum + each * row[c], b[k])));
}

function denseBackwardWeights(x, w, dy) {
  return w.map((weights, k) => weights.map((_, c) => dy.reduce((sum, error, n) => sum + error[k] * x[n][c], 0)));
}

function denseBackwardBias(dy) {
  return dy[0].map((_, k) => dy.reduce((sum, error) => sum + error[k], 0));
}

/** The same weights the other way: each input is told by every unit that it fed. */
function denseBackwardInput(x, w, dy) {
  return x.map((row, n) => row.map((_, c) => w.reduce((sum, weights, k) => sum + weights[c] * dy[n][k], 0)));
}

/** The logarithm of Σ exp(score). The largest score is taken off first, so that exp cannot overflow. */
function logSum(scores) {
  const top = Math.max(...scores);
  return top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
}

/** Minus the logarithm of the probability of the right class, its mean over the images. */
function lossForward(scores, target) {
  const losses = scores.map((row, n) => target[n].reduce((sum, t, k) => sum + t * (logSum(row) - row[k]), 0));
  return losses.reduce((sum, loss) => sum + loss, 0) / scores.length;
}

/** Softmax and logarithm together leave probability - target. The division is the mean's: no layer divides again. */
function lossBackward(scores, target) {
  const probability = scores.map((row) => row.map((score) => Math.exp(score - logSum(row))));
  return pairwise((p, t) => (p - t) / scores.length, probability, target);
}

// The network: what each kind of layer does. Only Conv and Dense have weights.

/** Stride, padding and dilation of a convolution, each for rows and for columns. */
function windowOf({ stride, padding, dilation = [1, 1] }) {
  return [stride, padding, dilation];
}

const KINDS = {
  Conv: {
    forward: (layer, x) => convForward(x, layer.w, layer.b ?? zeros(layer.w.length), ...windowOf(layer)),
    backwardWeights: (layer, x, dy) => convBackwardWeights(x, layer.w, dy, ...windowOf(layer)),
    backwardBias: (layer, dy) => convBackwardBias(dy),
    backwardInput: (layer, x, dy) => convBackwardInput(x, layer.w, dy, ...windowOf(layer)),
  },
  ReLU: {
    forward: (layer, x) => reluForward(x),
    backwardInput: (layer, x, dy) => reluBackward(layer.y, dy),
  },
  MaxPool: {
    forward: (layer, x) => maxpoolForward(x, layer.size, layer.stride, layer.padding),
    backwardInput: (layer, x, dy) => maxpoolBackward(x, dy, layer.size, layer.stride, layer.padding),
  },
  Flatten: {
    forward: (layer, x) => flattenForward(x),
    backwardInput: (layer, x, dy) => flattenBackward(x, dy),
  },
  Dense: {
    forward: (layer, x) => denseForward(x, layer.w, layer.b ?? zeros(layer.w.length)),
    backwardWeights: (layer, x, dy) => denseBackwardWeights(x, layer.w, dy),
    backwardBias: (layer, dy) => denseBackwardBias(dy),
    backwardInput: (layer, x, dy) => denseBackwardInput(x, layer.w, dy),
  },
};

/** One step of plain gradient descent on one batch. Changes the weights; tells all that came up, by name. */
function step(layers, { x, target }, rate, tell) {
  for (const layer of layers) {
    layer.x = x;
    layer.y = KINDS[layer.kind].forward(layer, x);
    tell(`${layer.name}.y`, layer.y);
    x = layer.y;
  }
  tell("loss", lossForward(x, target));
  let error = lossBackward(x, target);
  tell("loss.dx", error);
  for (const layer of [...layers].reverse()) {
    const { backwardInput, backwardWeights, backwardBias } = KINDS[layer.kind];
    const dy = error;
    const gradients = {};
    if (layer.w) gradients.w = backwardWeights(layer, layer.x, dy);
    if (layer.b) gradients.b = backwardBias(layer, dy);
    error = backwardInput(layer, layer.x, dy);
    tell(`${layer.name}.dy`, dy);
    tell(`${layer.name}.dx`, error);
    for (const [part, gradient] of Object.entries(gradients)) {
      layer[part] = pairwise((old, d) => old - rate * d, layer[part], gradient); // only now: dx belongs to the old ones
      tell(`${layer.name}.d${part}`, gradient);
      tell(`${layer.name}.${part}`, layer[part]);
    }
  }
}

/** Say at once what this program does not know, before a wrong number is written. */
function checkLayer({ name, kind, groups = 1 }) {
  const known = Object.keys(KINDS);
  ensure(known.includes(kind), `${name}: there is no ${kind} here; this program knows ${known.join(", ")}`);
  if (kind === "Conv") ensure(groups === 1, `${name}: this program knows no groups but 1`);
}

/** Every quantity that the case asks for, by its name. A name without a step is of the first. */
function answer({ network, loss, weights, rate, steps, answer: { quantities } }) {
  network.layers.forEach(checkLayer);
  const known = "SoftmaxCrossEntropy";
  ensure(loss.kind === known, `there is no loss ${loss.kind} here; this program knows ${known}`);
  ensure(Number.isFinite(rate), "the case has no rate"); // or every weight would silently become NaN
  const layers = network.layers.map((layer) => ({
    ...layer,
    w: weights[`${layer.name}.w`],
    b: weights[`${layer.name}.b`],
  }));
  const found = new Map();
  steps.forEach((batch, at) => step(layers, batch, rate, (name, value) => found.set(`step${at + 1}.${name}`, value)));
  const full = (name) => (found.has(name) ? name : `step1.${name}`);
  const names = Object.keys(quantities).filter((name) => found.has(full(name)));
  return Object.fromEntries(names.map((name) => [name, found.get(full(name))]));
}

try {
  const text = fs.readFileSync(process.argv[2] ?? 0, "utf8");
  process.stdout.write(JSON.stringify(answer(JSON.parse(text))) + "\n");
} catch (error) {
  const own = error instanceof CaseError || "code" in error;
  console.error(`main.js: ${own ? "" : "what was read is not a case: "}${error.message}`);
  process.exitCode = 1;
}
