// The maps beside the terms, in which the factors lie.

/** The parts of the maps that the terms were read from, with every cell that was used outlined. */
function picturesOf(terms, entries) {
  const used = new Map();
  for (const entry of entries) {
    for (const cell of refsOf(terms, entry)) {
      const array = arrayOf(cell);
      if (!used.has(array)) used.set(array, new Set());
      used.get(array).add(cell);
    }
  }
  const mostFirst = [...used].sort(([, a], [, b]) => b.size - a.size);
  const pictures = mostFirst.slice(0, 4).map(([array, cells]) => pictureOf(array, [...cells]));
  return element(
    "aside",
    { class: "pictures", "aria-label": "Where the factors lie" },
    element("div", { class: "maps" }, pictures),
    note(
      "Outlined: every number that was used",
      element("span", { class: "figures", hidden: true }, "; the small figures count the terms"),
      ". Point at a term to see its own.",
    ),
  );
}

function pictureOf(array, cells) {
  const [width, height] = [array.shape.at(-1) ?? 1, array.shape.at(-2) ?? 1];
  const places = array.shape.length < 2 ? [] : cells.map((cell) => cell - array.start);
  const only = [...new Set(places.map((index) => Math.floor(index / (width * height))))].slice(0, 16);
  const around = ([low, high], size) => {
    if (size <= 9) return [0, size];
    if (high - low < 9) return [Math.max(0, low - 1), Math.min(size, high + 2)]; // near enough to write the numbers
    return size <= 32 ? [0, size] : [Math.max(0, low - 3), Math.min(size, high + 4)];
  };
  const [left, right] = around(spanOf(places.map((index) => index % width)), width);
  const [top, bottom] = around(spanOf(places.map((index) => Math.floor(index / width) % height)), height);
  const options = places.length
    ? {
        only,
        window: { top, left, height: bottom - top, width: right - left },
        note: counted(cells.length, "number used", "numbers used"),
      }
    : {};
  const view = new ArrayView(array, { ...options, room: 256, tall: 250, most: LARGEST_SQUARE, stands: true });
  view.own = cells.length < array.size ? cells.map((cell) => ({ cell, kind: "used" })) : [];
  view.drawMarks();
  return view.element;
}

function spanOf(numbers) {
  return numbers.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, 0]);
}
