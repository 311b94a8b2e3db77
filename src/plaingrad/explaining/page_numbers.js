// Numbers written in the squares, and the numbers of the terms that a square is part of.

/** A number in the room of a square: whole, or with two decimals. */
function inSquare(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 10000 || (size && size < 0.005)) return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  const text = Number.isInteger(value) || size >= 100 ? value.toFixed(0) : value.toFixed(size < 10 ? 2 : 1);
  return text.replace("-", "−");
}

const WIDTHS = { "−": 0.84, ".": 0.32 }; // of a sign, as a part of the print's height; those of figures are 0.64

/** The height of print at which a number fits its square. */
function printIn(cell, text) {
  const width = [...text].reduce((sum, sign) => sum + (WIDTHS[sign] ?? 0.64), 0);
  return Math.min(10.5, cell / 3, (cell - 2) / width);
}

/** Writes the numbers of a map whose squares are large enough, and those of its terms. */
function printNumbers(view) {
  const { cell, maps, height, width, top, left } = view.layout;
  const written = [];
  const put = (number, text, kind) => {
    const [x, y] = view.cornerOf(number);
    const print = kind === "digits" ? printIn(cell, text) : 8.5;
    const style = `left: ${x}px; top: ${y}px; width: ${cell}px; height: ${cell}px; font-size: ${print}px`;
    written.push(element("span", { class: kind, style, "data-at": cellName(number) }, text));
  };
  if (view.hasNumbers)
    for (const map of maps)
      for (let p = 0; p < height * width; p++) {
        const number = view.cellIn(map, top + Math.floor(p / width), left + (p % width));
        if (number >= 0) put(number, inSquare(NUMBERS.values[number]), "digits");
      }
  if (cell >= 16)
    for (const [number, place] of view.places) if (view.cornerOf(number)) put(number, place, "place");
  if (written.length || view.print.childElementCount) fill(view.print, written);
}

/** The number of each term on the cells it is made of, where there are few terms. */
function numberTerms(root, terms, order) {
  const places = new Map();
  if (order.length <= 16)
    order.forEach((entry, n) => {
      for (const cell of refsOf(terms, entry)) places.set(cell, [...(places.get(cell) ?? []), n + 1]);
    });
  for (const view of VIEWS) {
    if (!root.contains(view.cells)) continue;
    view.places = new Map();
    for (const [cell, own] of places) if (own.length === 1) view.places.set(cell, String(own[0]));
    printNumbers(view);
  }
  root.querySelector(".figures").hidden = !root.querySelector(".place");
}
