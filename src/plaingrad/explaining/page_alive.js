// The network alive: numbers that were given can be changed, and the written texts compute all others again.

const LIVE = { net: null, given: new Map(), isChanged: false, steps: 0, painting: 0, draws: false, isOpen: false };

/** Makes the network from the numbers of the run, where the page holds it; the maps then read its numbers. */
function makeAlive() {
  const { alive } = DATA;
  if (!alive) return;
  LIVE.net = new LiveNetwork(TEXTS, alive.program, NUMBERS.values);
  NUMBERS.values = LIVE.net.cells;
  for (const [name, gradient] of Object.entries(alive.given)) LIVE.given.set(name, gradient);
  Object.assign(LIVE, { probabilities: DATA.probabilities, loss: DATA.loss?.value, label: DATA.label });
}

const WARM_TIMES = 6;

/** A browser compiles what it has run a few times: while nothing is asked for, so that a first click is quick. */
function warmUp() {
  if (!LIVE.net) return;
  const spare = LIVE.net.corner();
  for (let time = 0; time < WARM_TIMES; time++)
    for (const { made_by: text, start } of ARRAYS) if (text) whenIdle(() => spare.explain(start));
  for (let time = 0; time < WARM_TIMES; time++) whenIdle(() => spare.compute());
}

/** Whether a cell was given, so that one can change it. */
function canChange(cell) {
  return Boolean(LIVE.net) && LIVE.given.has(arrayOf(cell).name);
}

/** The derivative of the loss with respect to a cell that was given: its cell, or −1 where the run had no loss. */
function derivativeOf(cell) {
  const array = arrayOf(cell);
  const gradient = ARRAY_NAMED.get(LIVE.given.get(array.name));
  return gradient ? gradient.start + cell - array.start : -1;
}

/** The cell that a derivative belongs to, or the cell itself where it was given; −1 for any other. */
function givenBehind(cell) {
  if (canChange(cell)) return cell;
  const array = arrayOf(cell);
  for (const [name, gradient] of LIVE.given)
    if (gradient === array.name) return ARRAY_NAMED.get(name).start + cell - array.start;
  return -1;
}

/** Changes a number that was given, and computes all others again. */
function changeCell(cell, value) {
  NUMBERS.values[cell] = value;
  LIVE.net.compute();
  afterChange(cell);
}

function lossNow() {
  return NUMBERS.values[ARRAY_NAMED.get(DATA.alive.loss).start];
}

/** The loss for another value of one number; nothing is changed. */
function lossAt(cell, value) {
  const kept = NUMBERS.values.slice();
  NUMBERS.values[cell] = value;
  LIVE.net.forward();
  const loss = lossNow();
  NUMBERS.values.set(kept);
  return loss;
}

function changeLabel(label) {
  const target = ARRAY_NAMED.get(DATA.alive.target);
  NUMBERS.values.fill(0, target.start, target.start + target.size);
  NUMBERS.values[target.start + label] = 1;
  DATA.label = label;
  LIVE.net.compute();
  afterChange();
}

/** One step of gradient descent on this one image. */
function trainStep() {
  const rate = Number(byId("alive-rate").value);
  if (!(rate >= 0 && rate < Infinity)) return;
  LIVE.net.step(rate);
  LIVE.steps++;
  afterChange();
}

function backToRun() {
  LIVE.net.reset();
  Object.assign(LIVE, { isChanged: false, steps: 0 });
  DATA.label = LIVE.label;
  aimAnew();
  drawAll();
}

/** Of one number, whose curve may be shown, or of others: then the curve is another one. */
function afterChange(cell = -1) {
  LIVE.isChanged = true;
  if (cell !== AIM.cell) aimAnew();
  drawAll();
}

/** Everything drawn anew with the numbers there are now, at the next frame: many changes before it are drawn once. */
function drawAll() {
  cancelAnimationFrame(LIVE.painting);
  LIVE.painting = requestAnimationFrame(() => {
    forgetTelling();
    for (const array of ARRAYS) {
      delete array.largest;
      array.read = {};
    }
    const { alive, label } = DATA;
    if (alive.loss) DATA.loss.value = LIVE.isChanged ? lossNow() : LIVE.loss;
    if (LIVE.probabilities && alive.probabilities !== null) {
      const now = NUMBERS.values.slice(alive.probabilities, alive.probabilities + DATA.classes.length);
      DATA.probabilities = LIVE.isChanged ? [...now] : LIVE.probabilities;
    }
    drawHeader();
    drawAliveBar();
    for (const card of CARDS.values())
      for (const bars of card.querySelectorAll(".bars")) bars.replaceWith(probabilityBars());
    redrawAll();
    drawArrows();
    if (label !== null) byId("alive-label").value = String(label);
    if (SHOWN.cell !== null && PAGE.tab === "explanation") explain(cellName(SHOWN.cell), true);
    else showTab(PAGE.tab);
    drawChange();
  });
}

function drawAliveBar() {
  const place = byId("alive-loss");
  byId("alive-back").disabled = !LIVE.isChanged;
  if (!DATA.alive.loss) return;
  const steps = LIVE.steps ? ` after ${counted(LIVE.steps, "step")}` : "";
  const was = LIVE.isChanged ? `, was ${shown(LIVE.loss, 4)} in the run` : "";
  fill(place, "Loss ", element("b", { class: "number" }, shown(lossNow(), 4)), `${steps}${was}`);
}

function startAlive() {
  if (!LIVE.net) return;
  byId("alive").hidden = byId("alive-guide").hidden = false;
  const hasLoss = Boolean(DATA.alive.loss);
  for (const id of ["alive-label", "alive-rate"]) byId(id).closest(".set").hidden = !hasLoss;
  if (DATA.label === null) byId("alive-label").closest(".set").hidden = true;
  byId("alive-label").append(
    ...DATA.classes.map((name, n) => element("option", { value: n, selected: n === DATA.label }, name)),
  );
  byId("alive-label").addEventListener("change", (event) => changeLabel(Number(event.target.value)));
  byId("alive-step").addEventListener("click", trainStep);
  byId("alive-back").addEventListener("click", backToRun);
  const image = ARRAYS[0].shape;
  byId("alive-draw").hidden = !(image.length === 3 && image[1] >= 8 && image[2] >= 8);
  byId("alive-draw").addEventListener("click", (event) => {
    LIVE.draws = !LIVE.draws;
    event.currentTarget.setAttribute("aria-pressed", String(LIVE.draws));
    document.body.classList.toggle("draws", LIVE.draws);
  });
  drawAliveBar();
}

/** How far one key press, or a drag of one square's height, moves a number: a tenth of the largest of its array. */
function strideOf(cell) {
  return 10 ** Math.floor(Math.log10(largestOf(arrayOf(cell)))) / 10;
}

/** A map whose numbers were given takes drags and the keys + and −. */
function letChange(view) {
  if (!LIVE.net || !LIVE.given.has(view.array.name)) return;
  let held = null;
  const { cells } = view;
  cells.classList.add("changeable");
  cells.setAttribute("aria-label", `${cells.getAttribute("aria-label")}, + and − change`);
  cells.addEventListener("pointerdown", (event) => {
    const cell = view.cellUnder(event);
    if (cell < 0 || event.button) return;
    if (event.pointerType === "touch" && !LIVE.draws) return; // a finger scrolls; it has the slider
    held = { cell, y: event.clientY, value: NUMBERS.values[cell], moved: false };
    if (LIVE.draws && cell < ARRAYS[0].size) cells.setPointerCapture(event.pointerId);
  });
  cells.addEventListener("pointermove", (event) => {
    if (!held || !event.buttons) return;
    if (LIVE.draws && view.array === ARRAYS[0]) return paint(view, event, held);
    const moved = Math.round((held.y - event.clientY) / 4);
    if (!held.moved && !moved) return;
    if (!held.moved) cells.setPointerCapture(event.pointerId);
    held.moved = true;
    const value = held.value + moved * strideOf(held.cell);
    changeCell(held.cell, Number(value.toPrecision(6)));
  });
  const leave = () => {
    if (held?.moved) addEventListener("click", stopClick, { capture: true, once: true });
    if (held?.moved) setTimeout(() => removeEventListener("click", stopClick, { capture: true }));
    held = null;
  };
  cells.addEventListener("pointerup", leave);
  cells.addEventListener("pointercancel", leave);
  cells.addEventListener("keydown", (event) => {
    const sign = { "+": 1, "=": 1, "-": -1, "−": -1 }[event.key];
    if (!sign || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    changeCell(view.cursor, Number((NUMBERS.values[view.cursor] + sign * strideOf(view.cursor)).toPrecision(6)));
    say(`${cellName(view.cursor)} is ${shown(NUMBERS.values[view.cursor])}; the loss is ${shown(lossOrNaN(), 4)}`);
  });
}

function lossOrNaN() {
  return DATA.alive.loss ? lossNow() : NaN;
}

/** A drag over the image leaves the run's brightest number behind, two squares wide. */
function paint(view, event, held) {
  const cell = view.cellUnder(event);
  if (cell < 0) return;
  held.moved = true;
  const { size, shape } = ARRAYS[0];
  const ink = LIVE.net.first.subarray(0, size).reduce((most, value) => Math.max(most, value), 0) || 1;
  const width = shape.at(-1);
  const isLast = (cell + 1) % width === 0;
  const brush = [cell, cell + width, ...(isLast ? [] : [cell + 1, cell + width + 1])].filter((each) => each < size);
  if (brush.every((each) => NUMBERS.values[each] === ink)) return;
  for (const each of brush) NUMBERS.values[each] = ink;
  LIVE.net.compute();
  afterChange();
}

function stopClick(event) {
  event.stopPropagation();
  event.preventDefault();
}
