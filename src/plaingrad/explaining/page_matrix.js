// A layer as the dense layer it is: a row for each output, a column for each input, and the weight that joins them.

const MOST_ENTRIES = 300_000;
const LENS = 15; // so many rows and columns are shown large

async function drawMatrix(layer) {
  const root = byId("matrix");
  const [input, output] = [ARRAY_NAMED.get(layer.x), ARRAY_NAMED.get(layer.sums)];
  const records = layer.dense && output && !output.held ? await recordsOf(output) : {};
  if (PAGE.layer !== layer || PAGE.tab !== "matrix") return;
  if (!records.terms || !input) {
    const why = layer.dense
      ? "Its terms are not in this page."
      : "This layer is no fixed weighted sum of its inputs, so no matrix stands for it.";
    fill(root, layerHeading(layer), paragraph(why));
    return;
  }
  showView("values");
  scrollToLayer(layer);
  const weights = arraysIn(records.terms).filter((array) => array.role === "weight" && array.shape.length > 1);
  const rows = rowsToDraw(input, output);
  const reading = element(
    "p",
    { class: "meaning", "aria-live": "polite" },
    "Point at an entry, or move with the arrow keys, to read it.",
  );
  fill(
    root,
    layerHeading(layer),
    paragraph(layer.dense.about),
    note(aboutRows({ input, output, records, rows })),
    reading,
    matrixCanvas({ input, output, records, rows, reading }),
    paragraph(layer.dense.check),
    sceneryOf([input, ...weights, output]),
  );
  showLegend(weights[0] ?? output);
}

/** All rows if they fit, else those of the first map. */
function rowsToDraw(input, output) {
  const map = output.shape.length > 1 ? output.size / output.shape[0] : output.size;
  return output.size * input.size <= MOST_ENTRIES ? output.size : map;
}

/** What joins an input to an output: {column, weight: its cell, or −1 where it has none, look}. */
function joinsOf({ input, records }, row) {
  const joins = [];
  const { terms } = records;
  const entries = entriesOf(terms, row);
  for (const entry of entries) {
    const cells = [...refsOf(terms, entry)];
    const from = cells.findIndex((cell) => cell >= input.start && cell < input.start + input.size);
    if (from < 0) continue; // the bias: no input has a part in it
    const look = terms.patterns[terms.kinds[entry]].text;
    joins.push({ column: cells[from] - input.start, weight: cells.find((_, n) => n !== from) ?? -1, look });
  }
  return joins;
}

function aboutRows({ input, output, records, rows }) {
  const whose = rows < output.size ? `the first map of ${output.name}` : output.name;
  return [
    `${counted(rows, "row")}, one for each number of ${whose}; `,
    `${counted(input.size, "column")}, one for each number of ${input.name}. `,
    "Empty: no weight joins the two. Equal colours: equal weights. ",
    hasEmptyRow(records, rows) ? "A row with no entry at all is an output that no term was added to." : "",
  ];
}

function hasEmptyRow(records, rows) {
  return Array.from({ length: rows }).some((_, row) => !entriesOf(records.terms, row).length);
}

function matrixCanvas(matrix) {
  const { input, output, rows } = matrix;
  const cell = Math.max(1, Math.min(16, Math.floor(1100 / input.size), Math.floor(560 / rows)));
  const style = `width: ${input.size * cell}px; height: ${rows * cell}px`;
  const cursor = { row: 0, column: 0 };
  const read = (row, column) => {
    Object.assign(cursor, { row, column });
    readEntry(matrix, row, column);
    paintLens(lens, small, row, column);
  };
  let small;
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const canvas = element("canvas", {
    style,
    tabindex: 0,
    role: "application",
    class: "matrix",
    "aria-label": `Matrix of ${rows} by ${input.size}; arrow keys move, Enter explains the output`,
    onpointermove: (event) =>
      read(
        Math.min(rows - 1, Math.floor(event.offsetY / cell)),
        Math.min(input.size - 1, Math.floor(event.offsetX / cell)),
      ),
    onpointerleave: () => light(),
    onfocus: () => read(cursor.row, cursor.column),
    onblur: () => light(),
    onclick: () => open(cellName(output.start + cursor.row)),
    onkeydown: (event) => {
      const step = steps[event.key];
      if (event.key === "Enter") open(cellName(output.start + cursor.row));
      if (!step) return;
      event.preventDefault();
      read((cursor.row + step[0] + rows) % rows, (cursor.column + step[1] + input.size) % input.size);
    },
  });
  const lens = element("canvas", {
    class: "lens",
    hidden: true,
    style: `width: ${LENS * 16}px; height: ${LENS * 16}px`,
    "aria-hidden": "true",
  });
  small = paintMatrix(canvas, matrix, cell);
  return element("div", { class: "canvases lensed" }, canvas, cell < 6 ? lens : null);
}

function paintMatrix(canvas, matrix, cell) {
  const { input, rows } = matrix;
  const small = new OffscreenCanvas(input.size, rows);
  const smallPen = small.getContext("2d");
  const image = smallPen.createImageData(input.size, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < rows; row++) {
    for (const { column, weight } of joinsOf(matrix, row)) {
      const colour = weight < 0 ? colourFor(1, 2) : colourFor(NUMBERS.values[weight], largestOf(arrayOf(weight)));
      pixels[row * input.size + column] = colour;
    }
  }
  smallPen.putImageData(image, 0, 0);
  const pen = penFor(canvas, input.size * cell, rows * cell);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, input.size * cell, rows * cell);
  return small;
}

/** The entries around one, large, in a matrix too fine to see. */
function paintLens(lens, small, row, column) {
  lens.hidden = false;
  const pen = penFor(lens, LENS * 16, LENS * 16);
  const half = (LENS - 1) / 2;
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, column - half, row - half, LENS, LENS, 0, 0, LENS * 16, LENS * 16);
  drawMark(pen, [half * 16, half * 16], 16, "picked");
}

function readEntry(matrix, row, column) {
  const { input, output, reading } = matrix;
  const [to, from] = [output.start + row, input.start + column];
  const join = joinsOf(matrix, row).find((each) => each.column === column);
  const name = (cell) => code(cellName(cell));
  const marks = [
    { cell: to, kind: "picked" },
    { cell: from, kind: "second" },
  ];
  if (!join) {
    fill(reading, "Nothing joins ", name(from), " to ", name(to), ": this entry is 0.");
  } else if (join.weight < 0) {
    fill(reading, name(to), " takes ", code(join.look.replace("{0}", cellName(from))), ".");
  } else {
    fill(reading, name(to), " takes ", name(from), " times ", name(join.weight), " = ", numberOf(join.weight), ".");
    marks.push({ cell: join.weight, kind: "first" });
  }
  light(marks);
}
