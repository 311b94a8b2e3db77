// Arithmetic as one writes it on paper: a sum as it grows, and a window of weights laid over the numbers it meets.

const MOST_WRITTEN = 8; // terms of a sum that are written out
const SQUARE = 54; // pixels: wide enough for two digits below zero
const ROLES_UNDER = ["value", "error", "weight", "gradient", "other"]; // what lies under a window, if both are met

/** A number within arithmetic: four digits, all of them on hover; below zero in brackets. */
function filled(value, attributes = {}, isBare = false) {
  const text = shown(value, 4);
  const isInBrackets = !isBare && text.startsWith("−");
  return element(
    "span",
    { class: "filled", "data-full": value, title: String(value), ...attributes },
    isInBrackets ? `(${text})` : text,
  );
}

/** A term with its numbers, such as 0.5 × (−2). */
function filledTerm(terms, entry, isNow = false, isFirst = false) {
  const cells = refsOf(terms, entry);
  const { text } = terms.patterns[terms.kinds[entry]];
  const parts = text.split(/\{(\d+)\}/).map((part, n) => {
    if (n % 2 === 0) return part;
    const cell = cells[Number(part)];
    const kind = isNow ? kindOf(Number(part)) : null;
    return filled(NUMBERS.values[cell], { "data-cell": cellName(cell), "data-mark": kind }, isFirst && text === "{0}");
  });
  return element("span", { class: isNow ? "term now" : "term", "data-share": terms.shares[entry] }, parts);
}

/** The sum of the first `upTo` entries: the last of them written out, those before added up, those to come as dots. */
function arithmeticOf(cell, terms, entries, upTo, isStepped = true) {
  const from = upTo > MOST_WRITTEN ? upTo - MOST_WRITTEN + 1 : 0;
  let total = 0;
  const parts = [code(cellName(cell)), " = "];
  for (let n = 0; n < upTo; n++) {
    const share = terms.shares[entries[n]];
    total = n ? total + share : share;
    if (n + 1 === from)
      parts.push(filled(total, { "data-before": total }, true), element("small", {}, ` (${counted(from, "term")})`));
    if (n < from) continue;
    const hasSign = terms.patterns[terms.kinds[entries[n]]].text.startsWith("−");
    if (n) parts.push(hasSign ? " " : " + ");
    parts.push(filledTerm(terms, entries[n], isStepped && n === upTo - 1, n === 0));
  }
  if (upTo < entries.length) parts.push(" + …");
  const isWhole = upTo === entries.length;
  parts.push(
    element("span", { class: "sum-now" }, isWhole ? " = " : " so far ", filled(total, { "data-sum": total }, true)),
  );
  return element("div", { class: "arithmetic" }, parts);
}

/** Which of two factors lies under the other: the pixel, not the weight. */
function isUnder(array, other) {
  return ROLES_UNDER.indexOf(array.role) <= ROLES_UNDER.indexOf(other.role);
}

/** What a sum's factors lie over: {under, over, entry} for each of its products of two, all in one array. */
function pairsOf(terms, entries) {
  const pairs = [];
  for (const [n, entry] of entries.entries()) {
    const cells = refsOf(terms, entry);
    if (cells.length !== 2) continue;
    const [under, over] = isUnder(arrayOf(cells[0]), arrayOf(cells[1])) ? cells : [cells[1], cells[0]];
    if (!pairs.length || arrayOf(pairs[0].under) === arrayOf(under)) pairs.push({ under, over, n });
  }
  return pairs;
}

/** The window laid over the map in which term `now` lies; null where a sum has no products of two. */
function windowOver(terms, entries, now) {
  const pairs = pairsOf(terms, entries);
  if (pairs.length < 2) return null;
  const near = pairs.find(({ n }) => n >= now) ?? pairs.at(-1);
  const pieces = pairs.map(({ under, over, n }) => ({
    cell: under,
    top: inSquare(NUMBERS.values[under]),
    bottom: `×${inSquare(NUMBERS.values[over])}`,
    state: n === now ? "now" : n < now ? "done" : "to-come",
  }));
  const told = `${arrayOf(near.over).name} laid over ${arrayOf(near.under).name}`;
  return laidOver(arrayOf(near.under), near.under, pieces, told);
}

/** How many squares fit side by side beside the story. */
function mostSquares() {
  return Math.max(4, Math.floor(Math.min(460, document.documentElement.clientWidth - 32) / SQUARE));
}

/**
 * A map with its numbers, or what is near `center` of a large one. `pieces` {cell, top, bottom, state} are what is laid
 * over its cells.
 */
function laidOver(array, center, pieces, told) {
  const { whole } = layoutOf(array);
  const placeOf = (cell) => {
    const index = cell - array.start;
    return [Math.floor(index / whole.width) % whole.height, index % whole.width];
  };
  const mapOf = (cell) => Math.floor((cell - array.start) / (whole.height * whole.width));
  const map = mapOf(center);
  const [middle, laid, most] = [placeOf(center), new Map(), mostSquares()];
  for (const piece of pieces) if (mapOf(piece.cell) === map) laid.set(piece.cell, piece);
  const places = [...laid.keys()].map(placeOf);
  const [rows, columns] = [whole.height, whole.width].map((size, axis) => {
    if (size <= most) return [0, size];
    const [low, high] = spanOf(places.map((place) => place[axis]));
    if (high - low + 3 > most) {
      const first = Math.max(0, Math.min(size - most, middle[axis] - Math.floor(most / 2)));
      return [first, first + most];
    }
    return [Math.max(0, low - 1), Math.min(size, high + 2)];
  });
  const squares = [];
  const largest = largestOf(array);
  for (let row = rows[0]; row < rows[1]; row++)
    for (let column = columns[0]; column < columns[1]; column++) {
      const index = (map * whole.height + row) * whole.width + column;
      if (index >= array.size) continue;
      const cell = array.start + index;
      squares.push(squareOf(cell, laid.get(cell), (column - columns[0]) * SQUARE, (row - rows[0]) * SQUARE, largest));
    }
  squares.sort((one, other) => Number(one.dataset.state === "now") - Number(other.dataset.state === "now"));
  const [width, height] = [columns, rows].map(([low, high]) => (high - low) * SQUARE + 6);
  const where = array.shape.length > 2 && array.size > whole.height * whole.width ? `, map ${map}` : "";
  return element(
    "figure",
    { class: "laid" },
    element("figcaption", {}, `${told}${where}`),
    svg(
      "svg",
      { viewBox: `-3 -3 ${width} ${height}`, width, height, role: "img", "aria-label": `${told}${where}` },
      squares,
    ),
  );
}

function squareOf(cell, piece, x, y, largest) {
  const value = NUMBERS.values[cell];
  const part = Number.isFinite(value) ? Math.round((Math.abs(value) / largest) * 55) : 0;
  const colour = `color-mix(in srgb, var(--${value < 0 ? "negative" : "positive"}-half) ${part}%, var(--zero))`;
  const text = (kind, down, said) => svg("text", { class: kind, x: x + SQUARE / 2, y: y + down }, said);
  return svg(
    "g",
    { "data-cell": cellName(cell), "data-state": piece?.state ?? "none" },
    svg("rect", { x, y, width: SQUARE, height: SQUARE, style: `fill: ${colour}` }),
    piece ? svg("rect", { class: "over", x: x + 1, y: y + 1, width: SQUARE - 2, height: SQUARE - 2 }) : null,
    piece ? text("under", 24, piece.top) : text("under", 32, inSquare(value)),
    piece ? text("factor-over", 42, piece.bottom) : null,
  );
}
