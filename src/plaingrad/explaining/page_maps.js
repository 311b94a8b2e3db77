// Arrays drawn as maps of coloured squares on a canvas: to point at, to walk over by keyboard, to click.

const VIEWS = new Set(); // every ArrayView on the page
const DRAWN = { version: 0 }; // grows with every change of numbers or colours: a view of another version is stale
const LIT = { picked: [], now: [] }; // marks that stay, and marks of what is pointed at

class ArrayView {
  constructor(array, options = {}) {
    this.array = array;
    this.layout = layoutOf(array, options);
    this.placeOfMap = new Map(this.layout.maps.map((map, n) => [map, n]));
    this.cursor = this.cellIn(this.layout.maps[0], this.layout.top, this.layout.left);
    const { pageWidth: width, pageHeight: height } = this.layout;
    const style = `width: ${width}px; height: ${height}px`;
    this.cells = element("canvas", {
      style,
      tabindex: 0,
      role: "application",
      "data-array": array.name,
      "aria-label": `${array.name}, ${sizeText(array)}; arrows move, Enter explains, Page Down goes on`,
      onclick: (event) => this.explain(this.cellUnder(event)),
      onpointermove: (event) => this.point(this.cellUnder(event), event),
      onpointerleave: () => this.leave(),
      onfocus: () => this.point(this.cursor),
      onblur: () => this.leave(),
      onkeydown: (event) => this.press(event),
    });
    this.marks = element("canvas", { style, class: "marks", "aria-hidden": "true" });
    this.isMarked = false;
    this.isKept = Boolean(options.isKept); // while it is not on the page too
    this.own = []; // marks in this view alone
    this.places = new Map(); // the number of the term that a cell is part of
    this.print = element("div", { class: "print", "aria-hidden": "true" });
    this.hasNumbers = this.layout.cell >= NUMBER_SQUARE && !array.points_at && !DATA.partial;
    this.element = element(
      "figure",
      { class: "array" },
      element(
        "figcaption",
        { title: array.about },
        code(options.caption ?? array.name),
        " ",
        options.caption ? null : element("span", { class: "size" }, options.note ?? sizeText(array)),
      ),
      element("div", { class: "canvases" }, element("div", { style }, this.cells, this.marks, this.print)),
    );
    VIEWS.add(this);
    letChange(this);
    this.draw();
  }

  /** The cell at a row and column of a map, or −1 where the last row of a strip has ended. */
  cellIn(map, row, column) {
    const { whole } = this.layout;
    const index = (map * whole.height + row) * whole.width + column;
    return index < this.array.size ? this.array.start + index : -1;
  }

  /** [left, top] of a cell on the canvas, or null where it is not drawn. */
  cornerOf(cell) {
    const { whole, top, left, height, width, cell: size, corner } = this.layout;
    const index = cell - this.array.start;
    const map = Math.floor(index / (whole.height * whole.width));
    const [row, column] = [(Math.floor(index / whole.width) % whole.height) - top, (index % whole.width) - left];
    const place = this.placeOfMap.get(map);
    if (index < 0 || index >= this.array.size || place === undefined) return null;
    if (row < 0 || row >= height || column < 0 || column >= width) return null;
    const [x, y] = corner(place);
    return [x + column * size, y + row * size];
  }

  cellUnder({ offsetX, offsetY }) {
    const { maps, height, width, top, left, cell, corner } = this.layout;
    for (let n = 0; n < maps.length; n++) {
      const [column, row] = [0, 1].map((axis) => Math.floor(([offsetX, offsetY][axis] - corner(n)[axis]) / cell));
      if (column >= 0 && column < width && row >= 0 && row < height)
        return this.cellIn(maps[n], top + row, left + column);
    }
    return -1;
  }

  draw() {
    this.version = DRAWN.version;
    const { maps, height, width, top, left, cell, corner, pageWidth, pageHeight } = this.layout;
    const pen = penFor(this.cells, pageWidth, pageHeight);
    const small = new OffscreenCanvas(width, height);
    const smallPen = small.getContext("2d", { willReadFrequently: true });
    const image = smallPen.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const largest = largestOf(this.array);
    const colours = this.array.points_at ? PALETTE.plain : this.hasNumbers ? PALETTE.soft : PALETTE.colours;
    pen.imageSmoothingEnabled = cell < 1;
    pen.strokeStyle = MARKS.line;
    maps.forEach((map, n) => {
      for (let p = 0; p < pixels.length; p++) {
        const number = this.cellIn(map, top + Math.floor(p / width), left + (p % width));
        pixels[p] = number < 0 ? 0 : colourFor(NUMBERS.values[number], largest, colours);
      }
      smallPen.putImageData(image, 0, 0);
      const [x, y] = corner(n);
      pen.drawImage(small, x, y, width * cell, height * cell);
      pen.strokeRect(x - 0.5, y - 0.5, width * cell + 1, height * cell + 1);
    });
    if (cell >= 4 && !DATA.partial) this.drawStrange(pen);
    if (this.array.points_at) drawDirections(pen, this);
    this.drawMarks();
    printNumbers(this);
  }

  /** A stroke through every cell that holds no finite number. */
  drawStrange(pen) {
    const { cell } = this.layout;
    pen.strokeStyle = "black";
    for (let number = this.array.start; number < this.array.start + this.array.size; number++) {
      const corner = Number.isFinite(NUMBERS.values[number]) ? null : this.cornerOf(number);
      if (corner) strokeLine(pen, corner[0], corner[1] + cell, corner[0] + cell, corner[1]);
    }
  }

  drawMarks() {
    const { start, size } = this.array;
    const marks = [...this.own, ...LIT.picked, ...LIT.now].filter(({ cell }) => cell >= start && cell < start + size);
    if (!marks.length && !this.isMarked) return;
    this.isMarked = marks.length > 0;
    const pen = penFor(this.marks, this.layout.pageWidth, this.layout.pageHeight);
    const used = marks.filter(({ kind }) => kind === "used");
    this.drawUsed(pen, new Set(used.map(({ cell }) => cell)));
    for (const { cell, kind } of marks) {
      const corner = kind === "used" ? null : this.cornerOf(cell);
      if (corner) drawMark(pen, corner, this.layout.cell, kind);
    }
  }

  /** One outline around all cells that were used: a line wherever the neighbour was not. */
  drawUsed(pen, used) {
    const { whole, cell: size } = this.layout;
    pen.beginPath();
    for (const cell of used) {
      const corner = this.cornerOf(cell);
      if (!corner) continue;
      const [left, top] = corner;
      const [right, bottom] = [left + size, top + size];
      const [column, row] = [
        (cell - this.array.start) % whole.width,
        Math.floor((cell - this.array.start) / whole.width) % whole.height,
      ];
      if (!column || !used.has(cell - 1)) addLine(pen, left, top, left, bottom);
      if (column === whole.width - 1 || !used.has(cell + 1)) addLine(pen, right, top, right, bottom);
      if (!row || !used.has(cell - whole.width)) addLine(pen, left, top, right, top);
      if (row === whole.height - 1 || !used.has(cell + whole.width)) addLine(pen, left, bottom, right, bottom);
    }
    strokeWith(pen, MARKS.halo, 4);
    strokeWith(pen, MARKS.used, 1.5);
  }

  point(cell, event) {
    if (cell < 0) return this.leave();
    showLegend(this.array);
    if (event) showHint(cell, event.clientX, event.clientY);
    else say(`${cellName(cell)} is ${shown(NUMBERS.values[cell])}`);
    light([{ cell, kind: "cursor" }]);
  }

  leave() {
    byId("hint").hidden = true;
    light();
  }

  press(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Enter" || event.key === " ") open(cellName(this.cursor), true);
    else if (event.key === "PageDown" || event.key === "PageUp") toNextMap(this, event.key === "PageDown" ? 1 : -1);
    else if (step) this.move(...step);
    else return;
    event.preventDefault();
  }

  /** Off the edge of a map the cursor goes to the next or the last map. */
  move(down, right) {
    const { maps, whole, top, left, height, width } = this.layout;
    const index = this.cursor - this.array.start;
    let n = this.placeOfMap.get(Math.floor(index / (whole.height * whole.width)));
    let row = (Math.floor(index / whole.width) % whole.height) - top + down;
    let column = (index % whole.width) - left + right;
    if (row < 0 || row >= height || column < 0 || column >= width) {
      n = (n + (down + right) + maps.length) % maps.length;
      [row, column] = [(row + height) % height, (column + width) % width];
    }
    const cell = this.cellIn(maps[n], top + row, left + column);
    if (cell >= 0) this.cursor = cell;
    this.point(this.cursor);
  }

  explain(cell) {
    if (cell < 0) return;
    this.cursor = cell;
    open(cellName(cell));
  }
}

function sizeText({ shape }) {
  if (shape.length === 0) return "one number";
  if (shape.length === 1) return counted(shape[0], "number");
  const map = shape.slice(-2).join("×");
  if (shape.length === 2) return map;
  if (shape.length === 3) return `${counted(shape[0], "map")} of ${map}`;
  return `${counted(shape[0], "filter")}, ${counted(shape[1], "channel")} of ${map}`;
}

/** A cleared pen that draws in pixels of the page, sharp on any screen. */
function penFor(canvas, width, height) {
  const scale = Math.min(globalThis.devicePixelRatio || 1, 16384 / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return pen;
}

/** Marks are outlines beside the cell, in two colours, so that they are seen on a cell of any colour. */
function drawMark(pen, [x, y], size, kind) {
  const room = Math.max(1, (7 - size) / 2);
  const box = [x - room + 0.5, y - room + 0.5, size + 2 * room - 1, size + 2 * room - 1];
  pen.setLineDash([]);
  [pen.strokeStyle, pen.lineWidth] = [MARKS.halo, 4];
  pen.strokeRect(...box);
  [pen.strokeStyle, pen.lineWidth] = [MARKS[kind], 2];
  if (kind === "second") pen.setLineDash([3, 2]);
  pen.strokeRect(...box);
}

const MARKS = {};

function readMarkColours() {
  const kinds = ["line", "halo", "picked", "cursor", "first", "second", "used"];
  coloursOf(kinds).forEach((colour, n) => (MARKS[kinds[n]] = `rgb(${colour.join(" ")})`));
}

function strokeWith(pen, colour, width) {
  [pen.strokeStyle, pen.lineWidth] = [colour, width];
  pen.stroke();
}

function addLine(pen, fromX, fromY, toX, toY) {
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
}

function strokeLine(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  addLine(pen, fromX, fromY, toX, toY);
  pen.stroke();
}

/** Lights cells in every map on the page that holds them; without marks only those that stay. */
function light(now = []) {
  LIT.now = now;
  for (const view of VIEWS) {
    if (view.cells.isConnected) {
      view.isPlaced = true;
      view.drawMarks();
    } else if (view.isPlaced && !view.isKept) VIEWS.delete(view); // one that is being put on the page is kept
  }
}

function lightForGood(marks) {
  LIT.picked = marks;
  light();
}

/** After numbers or colours have changed: what is on the page now, and everything else once it is there. */
function redrawAll() {
  DRAWN.version++;
  drawStale();
}

function drawStale() {
  for (const view of VIEWS) if (view.version !== DRAWN.version && view.cells.isConnected) view.draw();
}

function say(text) {
  byId("live").textContent = text;
}

function showHint(cell, x, y) {
  const hint = byId("hint");
  fill(hint, code(cellName(cell)), element("b", {}, shown(NUMBERS.values[cell])));
  hint.hidden = false;
  const left = Math.min(x + 14, document.documentElement.clientWidth - hint.offsetWidth - 8);
  hint.style.translate = `${left}px ${y > 80 ? y - 12 - hint.offsetHeight : y + 22}px`;
}
