// The error's way drawn over the row of layers: a line from the loss to each stop, as far as it was gone.

const PATH = { svg: null, guest: null, stops: [], step: -1, places: new Map() };

/** Where a cell is drawn in the row of layers; null while it is not. */
function viewHolding(cell) {
  return viewOf(arrayOf(cell));
}

function cardOf(cell) {
  const array = arrayOf(cell);
  const layer = array.name.startsWith("loss.") ? LAYER_NAMED.get("loss") : layerOf(array);
  return [...byId("layers").querySelectorAll("[data-layer]")].find((card) => card.dataset.layer === layer?.name);
}

/**
 * The middle of a cell in the row's own measure, scrolled or not, and half its side: {x, y, half}. A cell that is drawn
 * in another view than the one at hand is where it was seen last within its card, or on the card's edge.
 */
function placeOnRow(cell) {
  const row = byId("layers");
  const card = cardOf(cell);
  if (!card) return null;
  const [outer, box] = [row.getBoundingClientRect(), card.getBoundingClientRect()];
  const onRow = ([x, y, half]) => ({
    x: x + box.left + row.scrollLeft - outer.left - row.clientLeft,
    y: y + box.top + row.scrollTop - outer.top - row.clientTop,
    half,
  });
  const view = viewHolding(cell);
  const corner = view?.cornerOf(cell);
  if (corner) {
    const drawn = view.cells.getBoundingClientRect();
    const half = view.layout.cell / 2;
    PATH.places.set(cell, [drawn.left + corner[0] + half - box.left, drawn.top + corner[1] + half - box.top, half]);
  }
  const known = PATH.places.get(cell);
  if (!known) return onRow(besideName(card, box));
  return onRow([Math.min(known[0], box.width - 8), Math.min(known[1], box.height - 8), known[2]]);
}

/** On the edge of a card, level with its name: a line from there strikes through nothing. */
function besideName(card, box) {
  const name = (card.querySelector("h3") ?? card).getBoundingClientRect();
  return [0, (name.top + name.bottom) / 2 - box.top, 0];
}

/** A new way: all errors are shown, and beside them the gradient that it leads to. */
function startPath(stops) {
  hidePath();
  Object.assign(PATH, { stops, step: -1, places: new Map() });
  showView("errors");
  const { cell } = stops.at(-1);
  const group = viewHolding(cell)
    ? null
    : cardOf(cell)?.querySelector(".group");
  if (group && arrayOf(cell).role === "gradient") group.append((PATH.guest = new ArrayView(arrayOf(cell)).element));
}

function hidePath() {
  PATH.svg?.remove();
  PATH.guest?.remove();
  PATH.stops = [];
}

/** Lights the cells of a stop and draws the way to it. */
function showStop(stops, step) {
  const { cell, terms, entry } = stops[step];
  const factors = entry === null ? [] : marksOf(refsOf(terms, entry));
  lightForGood([{ cell, kind: "picked" }, ...factors]);
  showLegend(arrayOf(cell));
  bringStopIntoSight(cell);
  const isNext = step === PATH.step + 1;
  PATH.step = step;
  drawPath(isNext);
}

function drawPath(isNext = false) {
  const row = byId("layers");
  PATH.svg?.remove();
  const { stops, step } = PATH;
  if (!stops.length) return;
  const places = stops.slice(0, step + 1).map(({ cell }) => placeOnRow(cell));
  if (places.some((place) => !place)) return;
  const [width, height] = [row.scrollWidth, row.scrollHeight];
  const legs = places.slice(1).map((place, n) => legBetween(places[n], place));
  const { terms, entries, entry, cell } = stops[step];
  const others = [...entries].filter((each) => terms.shares[each] !== 0 && each !== entry).slice(0, MOST_SIDE_LINES);
  const sides = others.flatMap((each) => [...refsOf(terms, each)].filter(isError).slice(0, 1)).map(placeOnRow);
  const dot = ([x, y], kind) => svg("circle", { class: kind, cx: x, cy: y, r: kind === "at" ? 5 : 3.5 });
  const { x, y } = places[0];
  PATH.svg = svg(
    "svg",
    {
      class: isNext && step ? "path moving" : "path",
      ...{ width, height, viewBox: `0 0 ${width} ${height}` },
      ...{ "aria-hidden": "true", "data-to": cellName(cell) },
    },
    sides.filter(Boolean).map((from) => svg("path", { class: "side", d: legBetween(from, places.at(-1)).d })),
    legs.map(({ d }, n) => svg("path", { class: n === step - 1 ? "leg now" : "leg", d, pathLength: 1 })),
    dot([x, y], step ? "gone" : "at"),
    legs.map(({ end }, n) => dot(end, n === step - 1 ? "at" : "gone")),
    legs.slice(-1).map(({ d }) => svg("circle", { class: "runner", r: 6, style: `offset-path: path("${d}")` })),
  );
  row.append(PATH.svg);
}

const MOST_SIDE_LINES = 12; // terms besides the largest one from which a thin line comes

/** A line from edge to edge of two cells, level, or upright where the layers lie one below the other: {d, end}. */
function legBetween(from, to) {
  const [across, down] = [to.x - from.x, to.y - from.y];
  const isLevel = Math.abs(across) > from.half + to.half + 8 && Math.abs(across) >= Math.abs(down) / 4;
  const sign = Math.sign(isLevel ? across : down);
  const edge = ({ x, y, half }, side) => (isLevel ? [x + side * sign * half, y] : [x, y + side * sign * half]);
  const [start, end] = [edge(from, 1), edge(to, -1)];
  const bend = isLevel ? [(end[0] - start[0]) / 2, 0] : [0, (end[1] - start[1]) / 2];
  const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  const [first, second] = [at(start[0] + bend[0], start[1] + bend[1]), at(end[0] - bend[0], end[1] - bend[1])];
  return { d: `M${at(...start)}C${first} ${second} ${at(...end)}`, end };
}

/** Scrolls the row, or on a phone the page above the sheet, so that a stop is seen. */
function bringStopIntoSight(cell) {
  const place = placeOnRow(cell);
  if (!place) return;
  const row = byId("layers");
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
  row.scrollTo({ left: place.x - row.clientWidth / 2, top: place.y - row.clientHeight / 2, behavior });
  if (getComputedStyle(byId("stage")).position !== "fixed") return;
  const top = row.getBoundingClientRect().top + place.y - row.scrollTop;
  const free = byId("stage").getBoundingClientRect().top;
  if (top < 20 || top > free - 20) scrollBy({ top: top - free / 2, behavior });
}

addEventListener("resize", () => drawPath());
