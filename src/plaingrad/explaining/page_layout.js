// Where each number of an array is drawn: which maps side by side, and how large a square.

const LARGEST_SQUARE = 33; // pixels: room for two decimals in small print
const NUMBER_SQUARE = 30; // pixels: in a smaller square no number is written

/**
 * Where each cell of an array is drawn. `only` may name the maps to draw, and `window` the part of them:
 * {top, left, height, width}. `most` is the largest square; a short vector `stands`. Lengths are in pixels of the page.
 */
function layoutOf(array, { only = null, window = null, room = 320, tall = 210, most = 24, stands = false } = {}) {
  const { shape } = array;
  const rank = shape.length;
  const whole = rank < 2 ? stripOf(shape[0] ?? 1, stands) : { height: shape[rank - 2], width: shape[rank - 1] };
  const { top, left, height, width } = window ?? { top: 0, left: 0, ...whole };
  const count = rank < 3 ? 1 : shape.slice(0, -2).reduce((a, b) => a * b, 1);
  const maps = only ?? Array.from({ length: count }, (_, map) => map);
  const channels = shape[rank - 3];
  const isKernels = !only && rank === 4 && channels > 1; // a column for each filter, a row for each channel
  const across = isKernels ? shape[0] : evenRows(maps.length);
  const down = Math.ceil(maps.length / across);
  const fits = Math.min(
    (((isKernels ? 1.5 : 1) * room) / Math.min(across, 16) - 6) / width,
    (tall / Math.min(down, 16) - 6) / height,
  );
  const cell = fits >= 2 ? Math.min(most, Math.floor(fits)) : Math.max(tall < 200 ? 0.5 : 2, fits);
  const gap = maps.length > 1 ? (cell * width < 24 ? 3 : 6) : 0;
  const [stepX, stepY] = [width * cell + gap, height * cell + gap];
  const square = (n) => (isKernels ? [Math.floor(n / channels), n % channels] : [n % across, Math.floor(n / across)]);
  const corner = (n) => [1 + square(n)[0] * stepX, 1 + square(n)[1] * stepY]; // 1 for the line around a map
  return {
    maps,
    whole,
    top,
    left,
    height,
    width,
    cell,
    corner,
    pageWidth: across * stepX - gap + 2,
    pageHeight: down * stepY - gap + 2,
  };
}

/** A vector is drawn as a strip of rows of 16 cells, a long one as a square of more; a short one may stand. */
function stripOf(length, stands) {
  if (stands && length <= 16) return { height: length, width: 1 };
  const width = Math.min(length, length <= 256 ? 16 : 16 * Math.ceil(Math.sqrt(length) / 16));
  return { height: Math.ceil(length / width), width };
}

/** How many maps stand side by side: rows of equal length if they come near a square. */
function evenRows(count) {
  const side = Math.ceil(Math.sqrt(count));
  for (let across = side; across <= 2 * side; across++) if (count % across === 0) return across;
  return side;
}
