// Lines over maps: from each number of a max pool to the pixel that won it, and between the two factors of a term.

/** In every square of an array that holds places: an arrow from the middle of the window to the place within it. */
function drawDirections(pen, view) {
  const { array, layout } = view;
  const { points_at: pointsAt, start, size } = array;
  if (layout.cell < 6) return;
  const columns = ARRAY_NAMED.get(pointsAt.array).shape.at(-1);
  [pen.strokeStyle, pen.lineWidth, pen.lineCap] = [MARKS.picked, layout.cell >= 16 ? 1.6 : 1, "round"];
  for (let cell = start; cell < start + size; cell++) {
    const corner = view.cornerOf(cell);
    const won = NUMBERS.values[cell];
    if (!corner || !(won >= 0)) continue;
    const at = placeIn(array, cell - start).slice(-2);
    const { stride, before, size: span } = pointsAt;
    const from = at.map((each, axis) => each * stride[axis] - before[axis] + (span[axis] - 1) / 2);
    const to = [Math.floor(won / columns), won % columns];
    const reach = pointsAt.size.map((each) => Math.max(1, (each - 1) / 2) + 0.5);
    const [down, right] = [0, 1].map((axis) => ((to[axis] - from[axis]) / reach[axis]) * (layout.cell / 2 - 1));
    const [x, y] = corner.map((each) => each + layout.cell / 2);
    if (Math.hypot(down, right) < 1) strokeLine(pen, x - 1, y, x + 1, y);
    else strokeArrow(pen, [x - right, y - down], [x + right, y + down]);
  }
}

function strokeArrow(pen, [fromX, fromY], [toX, toY]) {
  const along = Math.atan2(toY - fromY, toX - fromX);
  const head = Math.max(2.5, Math.hypot(toX - fromX, toY - fromY) * 0.32);
  pen.beginPath();
  addLine(pen, fromX, fromY, toX, toY);
  for (const side of [-0.6, 0.6])
    addLine(pen, toX, toY, toX - head * Math.cos(along + side), toY - head * Math.sin(along + side));
  pen.stroke();
}

/** Of a small network: arrows from each number of a max pool to its winner, and from its error to the same pixel. */
function drawArrows() {
  const root = byId("layers");
  root.querySelector(":scope > .arrows")?.remove();
  if (!PAGE.isSmall || isNarrow()) return;
  const { left, top } = root.getBoundingClientRect();
  const [atLeft, atTop] = [left - root.scrollLeft, top - root.scrollTop];
  const lines = ARRAYS.filter((array) => array.points_at).flatMap((array) => arrowsOf(array, atLeft, atTop));
  if (!lines.length) return;
  const shape = { id: "tip", viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" };
  const tip = svg("marker", shape, svg("path", { d: "M0 0L6 3L0 6z" }));
  const size = { width: root.scrollWidth, height: root.scrollHeight };
  root.append(svg("svg", { class: "arrows", "aria-hidden": "true", ...size }, svg("defs", {}, tip), lines));
}

/** The paths run between the rows of squares, so that they strike through no number. */
function arrowsOf(array, left, top) {
  const layer = layerOf(array);
  const columns = ARRAY_NAMED.get(array.points_at.array).shape.at(-1);
  const paths = [];
  for (const [from, to] of [[layer.y, layer.x], [layer.dy, layer.dx]]) {
    const [source, target] = [from, to].map((name) => viewOf(ARRAY_NAMED.get(name)));
    if (!source || !target) continue;
    const [a, b] = [source, target].map((view) => view.cells.getBoundingClientRect());
    const per = target.layout.whole.height * target.layout.whole.width;
    for (let n = 0; n < array.size; n++) {
      const won = NUMBERS.values[array.start + n];
      if (!(won >= 0)) continue;
      const [map, column] = [placeIn(array, n).at(-3) ?? 0, placeIn(array, n).at(-1)];
      const cell = target.array.start + map * per + won;
      const [start, end] = [source.cornerOf(source.array.start + n), target.cornerOf(cell)];
      if (!start || !end) continue;
      const [half, size] = [source.layout.cell / 2, target.layout.cell];
      const isTop = column % 2 === 0 || won < columns; // two winners of one row use its two edges
      const y = b.top - top + end[1] + (isTop ? 0 : size);
      const x = b.left - left + end[0] + size;
      const edge = isTop ? 0 : 2 * half; // from an inner square along its edge, from an outer one from its middle
      const [fromX, fromY] = [a.left - left + start[0], a.top - top + start[1] + (column ? edge : half)];
      const begin = column ? `M${fromX + half} ${fromY}H${a.left - left - 2}` : `M${fromX} ${fromY}`;
      const d = `${begin}L${b.right - left + 6} ${y}H${x + 3}L${x - 3} ${y + (isTop ? 5 : -5)}`;
      paths.push(svg("path", { class: "arrow", "data-winner": cellName(cell), "marker-end": "url(#tip)", d }));
    }
  }
  return paths;
}

/** Lines between the factors of the term in hand, from map to map beside the terms. */
function joinFactors(root, cells) {
  root.querySelector(":scope > .joined")?.remove();
  if (cells.length < 2) return;
  const box = root.getBoundingClientRect();
  const views = [...VIEWS].filter((view) => root.contains(view.cells));
  const boxes = cells.map((cell) => {
    const view = views.find((each) => each.array === arrayOf(cell) && each.cornerOf(cell));
    if (!view) return null;
    const at = view.cells.getBoundingClientRect();
    const [x, y] = view.cornerOf(cell);
    return { x: at.left - box.left + x, y: at.top - box.top + y, size: view.layout.cell };
  });
  const known = boxes.filter(Boolean);
  const lines = known.slice(1).map((to, n) => svg("path", { d: lineBetween(known[n], to) }));
  const size = { width: box.width, height: box.height };
  if (lines.length) root.append(svg("svg", { class: "joined", "aria-hidden": "true", ...size }, lines));
}

/** From the edge of one square to the edge of the other. */
function lineBetween(from, to) {
  const middle = ({ x, y, size }) => [x + size / 2, y + size / 2];
  const [a, b] = [middle(from), middle(to)];
  const [across, down] = [b[0] - a[0], b[1] - a[1]];
  const edge = (square) => (square.size / 2 + 2) / Math.max(Math.abs(across), Math.abs(down), 1);
  const [first, last] = [edge(from), 1 - edge(to)];
  const at = (part) => `${a[0] + across * part} ${a[1] + down * part}`;
  return first < last ? `M${at(first)}L${at(last)}` : "";
}
