// What the player shows at each step: the cells that are lit, and the sums as they grow.

/**
 * Every cell of some arrays in order, each a sum that grows term by term. A scene has a number of `items`, and each
 * item a number of parts; `show(item, part)` gives its marks and story after that part, or the whole without one.
 */
async function sumScene(made, unit) {
  const cells = made.flatMap((array) =>
    array.held
      ? array.held.map((index) => array.start + index)
      : Array.from({ length: array.size }, (_, n) => array.start + n),
  );
  const records = new Map(await Promise.all(made.map(async (array) => [array, await recordsOf(array)])));
  const of = (item) => {
    const array = arrayOf(cells[item]);
    const { terms, reasons } = records.get(array);
    return { cell: cells[item], index: cells[item] - array.start, terms, reasons };
  };
  const entriesAt = ({ terms, index }) => entriesOf(terms, index);
  const show = (item, part = null) => {
    const told = of(item);
    const { cell, terms, reasons, index } = told;
    const entries = entriesAt(told);
    const upTo = part === null ? entries.length : Math.min(part + 1, entries.length);
    const used = [...entries].flatMap((entry) => [...refsOf(terms, entry)]);
    const isStepped = part !== null && entries.length > 0;
    const now = isStepped ? entries[upTo - 1] : null;
    return {
      marks: [
        ...used.map((each) => ({ cell: each, kind: "used" })),
        { cell, kind: "picked" },
        ...(isStepped ? marksOf(refsOf(terms, now)) : []),
      ],
      story: [
        isStepped
          ? paragraph(
              cellButton(cell, "picked"),
              " grows by ",
              sentenceOf(terms.patterns[terms.kinds[now]], refsOf(terms, now)),
              " = ",
              sumNumber("product", terms.shares[now]),
              ".",
            )
          : paragraph(cellButton(cell, "picked"), " comes from ", counted(entries.length, "term"), "."),
        entries.length ? arithmeticOf(cell, terms, entries, upTo, isStepped) : null,
        reasonsList(reasons, index),
        windowOver(terms, entries, isStepped ? upTo - 1 : entries.length),
        entries.length > MOST_WRITTEN ? sumChart(terms, entries, upTo) : null,
      ],
    };
  };
  const chosen = cells.indexOf(SHOWN.cell);
  const read = new Set([...records.values()].flatMap(({ terms }) => arraysIn(terms)));
  return {
    items: cells.length,
    parts: (item) => entriesAt(of(item)).length,
    first: Math.max(0, chosen),
    arrays: [...read, ...made],
    unit,
    part: "term",
    show,
  };
}

/** Every error in order: the cells it was handed back to, and what each of them got. */
async function shareScene(layer) {
  const target = ARRAY_NAMED.get(layer.dx);
  const { terms, reasons } = await recordsOf(target);
  const errors = arraysIn(terms).filter((array) => layer.errors.includes(array.name));
  const source = errors[0] ?? ARRAY_NAMED.get(layer.dy);
  const show = (item, part = null) => {
    const cell = source.start + item;
    const uses = usesIn(target, terms, cell);
    const upTo = part === null ? uses.length : Math.min(part + 1, uses.length);
    const isStepped = part !== null && uses.length > 0;
    const now = isStepped ? uses[upTo - 1] : null;
    const others = isStepped ? [...refsOf(terms, now.entry)].filter((each) => each !== cell) : [];
    return {
      marks: [
        ...uses.map((use) => ({ cell: use.cell, kind: "used" })),
        { cell, kind: "picked" },
        ...(isStepped ? [{ cell: now.cell, kind: "first" }] : []),
        ...others.map((each) => ({ cell: each, kind: "second" })),
      ],
      story: [
        paragraph(
          "The error ",
          cellButton(cell, "picked"),
          ` goes back to ${counted(uses.length, "cell")} of `,
          code(target.name),
          ".",
        ),
        sharesList(terms, uses.slice(0, upTo), isStepped),
        sharesOver(target, terms, uses, isStepped ? upTo - 1 : uses.length, cell),
        uses.length === 1 ? reasonsList(reasons, uses[0].cell - target.start) : null,
      ],
    };
  };
  return {
    items: source.size,
    parts: (item) => usesIn(target, terms, source.start + item).length,
    first: startIn(source),
    arrays: [source, target, ...arraysIn(terms).filter((array) => array !== source)],
    unit: "error",
    part: "cell",
    show,
  };
}

const MOST_SHARES = 9;

/** What cells got: the first of them, or while they are stepped through the last. */
function sharesList(terms, uses, isStepped) {
  const first = isStepped ? Math.max(0, uses.length - MOST_SHARES) : 0;
  const told = uses.slice(first, first + MOST_SHARES).map(({ cell, entry }, n) => {
    const isNow = isStepped && first + n === uses.length - 1;
    const gets = [filledTerm(terms, entry, isNow), " = ", sumNumber("product", terms.shares[entry])];
    return element(
      "li",
      { class: isNow ? "now" : null },
      cellButton(cell, isStepped && !isNow ? "used" : "first"),
      " gets ",
      gets,
    );
  });
  const before = first ? element("li", { class: "note" }, `and ${first} before`) : null;
  const rest = uses.length - first - told.length;
  const more = rest ? element("li", { class: "note" }, `and ${rest} more`) : null;
  return element("ul", { class: "shares" }, before, told, more);
}

/** The cells that an error goes back to, with what each gets, where it is multiplied on the way. */
function sharesOver(target, terms, uses, now, error) {
  const others = uses.map(({ entry }) => [...refsOf(terms, entry)].filter((cell) => cell !== error));
  if (uses.length < 2 || others.some((cells) => cells.length !== 1)) return null;
  const pieces = uses.map(({ cell, entry }, n) => ({
    cell,
    top: inSquare(terms.shares[entry]),
    bottom: `×${inSquare(NUMBERS.values[others[n][0]])}`,
    state: n === now ? "now" : n < now ? "done" : "to-come",
  }));
  const center = uses[Math.min(now, uses.length - 1)].cell;
  return laidOver(
    target,
    center,
    pieces,
    `${cellName(error)} times ${arrayOf(others[0][0]).name}, added to ${target.name}`,
  );
}

/** Play begins at the cell that was explained last, where it is one of this array. */
function startIn(array) {
  const index = SHOWN.cell - array.start;
  return SHOWN.cell !== null && index >= 0 && index < array.size ? index : 0;
}

/** The arrays that terms were read from. A thousand places, spread evenly, are enough to tell. */
function arraysIn({ refs }) {
  const stride = Math.max(1, Math.floor(refs.length / 1000)) | 1;
  const found = new Set();
  for (let r = 0; r < refs.length; r += stride) found.add(arrayOf(refs[r]));
  return [...found].sort((a, b) => a.start - b.start);
}

/** The sum as it grows from term to term, drawn as far as `shown` terms. */
function sumChart(terms, entries, upTo) {
  const sums = [];
  for (const entry of entries) sums.push(sums.length ? sums.at(-1) + terms.shares[entry] : terms.shares[entry]);
  const finite = sums.filter(Number.isFinite);
  if (finite.length < 2) return null;
  const [low, high] = finite.reduce(([least, most], sum) => [Math.min(least, sum), Math.max(most, sum)], [0, 0]);
  const [width, height] = [420, 110];
  const x = (n) => 4 + (n / (sums.length - 1)) * (width - 8);
  const y = (sum) => 6 + ((high - sum) / (high - low || 1)) * (height - 12);
  const canvas = element("canvas", {
    class: "chart",
    style: `width: ${width}px; height: ${height}px`,
    role: "img",
    "aria-label": `The sum after ${upTo} of ${sums.length} terms is ${shown(sums[upTo - 1])}`,
  });
  const pen = penFor(canvas, width, height);
  pen.strokeStyle = MARKS.line;
  strokeLine(pen, 0, y(0), width, y(0));
  [pen.strokeStyle, pen.lineWidth] = [MARKS.first, 2];
  pen.beginPath();
  sums.slice(0, upTo).forEach((sum, n) => Number.isFinite(sum) && pen.lineTo(x(n), y(sum)));
  pen.stroke();
  pen.fillStyle = MARKS.first;
  pen.fillRect(x(upTo - 1) - 3, y(sums[upTo - 1]) - 3, 6, 6);
  return element(
    "figure",
    {},
    canvas,
    element(
      "figcaption",
      { class: "size" },
      `after ${upTo} of ${counted(sums.length, "term")} the sum is `,
      sumNumber("total", sums[upTo - 1]),
    ),
  );
}
