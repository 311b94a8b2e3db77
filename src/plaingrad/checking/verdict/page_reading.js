"use strict";
// The numbers of the cell that is pointed at, tapped or gone to by keys: in a line below the maps, and as a hint.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const listed = (text) => text.split(" ");

function reader(map, line) {
  const { dataset } = map;
  const [rows, columns, top, left] = [dataset.rows, dataset.columns, dataset.top, dataset.left].map(Number);
  const pictures = [...map.querySelectorAll(".picture")];
  const cursors = pictures.map((picture) => {
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cursor.setAttribute("class", "cursor");
    picture.querySelector("svg").append(cursor);
    return cursor;
  });
  let at = null;

  function told(cell) {
    const [row, column] = [Math.floor(cell / columns) + top, (cell % columns) + left];
    const place = [...(dataset.place ? [dataset.place] : []), ...(dataset.flat === "1" ? [] : [row]), column];
    const [yours, expected, difference] = ["yours", "expected", "difference"].map((kind) => listed(dataset[kind])[cell]);
    const isMistake = dataset.word === "wrong";
    const [sign, aim, cause] = isMistake ? ["✗", "should be", "mistake"] : ["≈", "the case", "convention"];
    const verdict = dataset.marks[cell] === "1" ? `${sign} ${dataset.word}` : "✓ agrees";
    const mistaken = dataset.mistaken === undefined ? "" : `, with this ${cause} ${listed(dataset.mistaken)[cell]}`;
    return `${dataset.name}[${place.join(",")}] ${verdict}: yours ${yours}, ${aim} ${expected}, difference ${difference}${mistaken}`;
  }

  function go(cell) {
    at = cell;
    for (const cursor of cursors) cursor.setAttribute("d", `M${cell % columns} ${Math.floor(cell / columns)}h1v1h-1z`);
    line.textContent = told(cell);
    for (const picture of pictures) picture.title = line.textContent;
  }

  function leave() {
    for (const cursor of cursors) cursor.removeAttribute("d");
  }

  function pointed(event) {
    const drawing = event.target.closest("svg");
    if (!drawing) return;
    const box = drawing.getBoundingClientRect();
    const within = (share, count) => Math.min(Math.max(Math.floor(share * count), 0), count - 1);
    const row = within((event.clientY - box.top) / box.height, rows);
    go(row * columns + within((event.clientX - box.left) / box.width, columns));
  }

  const nextWrong = (from) => {
    const found = dataset.marks.indexOf("1", from);
    return found >= 0 ? found : dataset.marks.indexOf("1");
  };

  map.addEventListener("pointermove", pointed);
  map.addEventListener("pointerdown", pointed);
  map.addEventListener("pointerleave", () => document.activeElement === map || leave());
  map.addEventListener("focus", () => at === null && go(Math.max(nextWrong(0), 0)));
  map.addEventListener("blur", leave);
  map.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter") {
      const next = nextWrong((at ?? -1) + 1);
      if (next >= 0) go(next);
      event.preventDefault();
    } else if (event.key in STEPS) {
      const [down, right] = STEPS[event.key];
      const [row, column] = [Math.floor((at ?? 0) / columns) + down, ((at ?? 0) % columns) + right];
      if (row >= 0 && row < rows && column >= 0 && column < columns) go(row * columns + column);
      event.preventDefault();
    }
  });
}

for (const maps of document.querySelectorAll(".maps")) {
  for (const map of maps.querySelectorAll(".map")) reader(map, maps.querySelector(".reading"));
}

addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});

document.documentElement.dataset.ready = "1";
