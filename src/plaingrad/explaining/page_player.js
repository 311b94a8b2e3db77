// A layer step by step. What can be played follows from what is recorded: terms of its output, of the error it hands
// back, and of its weight gradients.

const SPEEDS = { 1: "slow", 4: "normal", 20: "fast" };
const PLAYER = { mode: null, speed: 4, timer: null };

function modesOf(layer) {
  const recorded = (name) => ARRAY_NAMED.get(name)?.terms;
  const isWhole = (name) => recorded(name) && !ARRAY_NAMED.get(name).held;
  const modes = {};
  if (isWhole(layer.sums)) modes.forward = "forward, one output at a time";
  if (layer.dy && isWhole(layer.dx)) modes.back = "error back, one error at a time";
  if (layer.gradients.some(recorded)) modes.weight = "one weight’s gradient, term by term";
  return modes;
}

const SCENES = { forward: forwardScene, back: backScene, weight: weightScene };

/** Every output in order: the cells it was made of, and its sum as it grew. */
async function forwardScene(layer) {
  const made = ARRAY_NAMED.get(layer.sums);
  const records = await recordsOf(made);
  const step = (n) => {
    const { terms } = records;
    const entries = entriesOf(terms, n);
    const used = [...entries].flatMap((entry) => [...refsOf(terms, entry)]);
    return {
      marks: [...used.map((cell) => ({ cell, kind: "used" })), { cell: made.start + n, kind: "picked" }],
      story: [
        paragraph(cellButton(made.start + n, "picked"), " comes from ", counted(entries.length, "term"), "."),
        reasonsList(records.reasons, n),
        sumChart(terms, entries, entries.length),
      ],
    };
  };
  return { count: made.size, first: startIn(made), arrays: [...arraysIn(records.terms), made], unit: "output", step };
}

/** Every error in order: the cells it was handed back to, and what each of them got. */
async function backScene(layer) {
  const target = ARRAY_NAMED.get(layer.dx);
  const { terms, reasons } = await recordsOf(target);
  const errors = arraysIn(terms).filter((array) => layer.errors.includes(array.name));
  const source = errors[0] ?? ARRAY_NAMED.get(layer.dy);
  const step = (n) => {
    const cell = source.start + n;
    const uses = usesIn(target, terms, cell);
    return {
      marks: [...uses.map((use) => ({ cell: use.cell, kind: "used" })), { cell, kind: "picked" }],
      story: [
        paragraph(
          "The error ",
          cellButton(cell, "picked"),
          ` goes back to ${counted(uses.length, "cell")} of `,
          code(target.name),
          ".",
        ),
        sharesList(terms, uses),
        uses.length === 1 ? reasonsList(reasons, uses[0].cell - target.start) : null,
      ],
    };
  };
  return {
    count: source.size,
    first: startIn(source),
    arrays: [source, target, ...arraysIn(terms).filter((array) => array !== source)],
    unit: "error",
    step,
  };
}

function sharesList({ shares }, uses) {
  const told = uses
    .slice(0, 9)
    .map(({ cell, entry }) => element("li", {}, cellButton(cell), " gets ", sumNumber("product", shares[entry])));
  const more = uses.length > 9 ? element("li", { class: "note" }, `and ${uses.length - 9} more`) : null;
  return element("ul", { class: "shares" }, told, more);
}

/** One weight gradient: a term from every place where the weight was used. */
async function weightScene(layer) {
  const arrays = layer.gradients.map((name) => ARRAY_NAMED.get(name)).filter((each) => each?.terms);
  const chosen = arrays.find((each) => isHeld(each, SHOWN.cell - each.start) && arrayOf(SHOWN.cell) === each);
  const array = chosen ?? arrays[0];
  const cell = chosen ? SHOWN.cell : array.start + (array.held?.[0] ?? 0);
  const terms = await recordOf(array, "terms");
  const entries = entriesOf(terms, cell - array.start);
  const step = (n) => {
    const entry = entries[n];
    const cells = refsOf(terms, entry);
    const term = sentenceOf(terms.patterns[terms.kinds[entry]], cells);
    return {
      marks: [{ cell, kind: "picked" }, ...marksOf(cells)],
      story: [
        paragraph(
          cellButton(cell, "picked"),
          " grows by ",
          term,
          " = ",
          sumNumber("product", terms.shares[entry]),
          ".",
        ),
        sumChart(terms, entries, n + 1),
        note("To play another weight, explain its gradient first."),
      ],
    };
  };
  return { count: entries.length, first: 0, arrays: [...arraysIn(terms), array], unit: "term", step };
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

async function drawPlayer(layer) {
  stopPlayer();
  const modes = modesOf(layer);
  const root = byId("player");
  const mode = PLAYER.mode in modes ? PLAYER.mode : Object.keys(modes)[0];
  if (!mode) {
    fill(
      root,
      layerHeading(layer),
      paragraph("Nothing is recorded here to step through. Click a square of another layer."),
    );
    return;
  }
  const scene = await SCENES[mode](layer);
  if (PAGE.layer !== layer || PAGE.tab !== "player") return;
  const story = element("div", { class: "story" });
  const pick = (next) => {
    PLAYER.mode = next;
    drawPlayer(layer);
  };
  showView(mode === "forward" ? "values" : mode === "back" ? "errors" : "gradients");
  fill(
    root,
    layerHeading(layer),
    element(
      "fieldset",
      { class: "switch" },
      element("legend", { class: "unseen" }, "What to play"),
      radios("mode", modes, mode, pick),
    ),
    controlsOf(scene, story),
    element("div", { class: "play" }, story, sceneryOf(scene.arrays)),
  );
  showLegend(scene.arrays.at(-1));
  PLAYER.go(scene.first);
}

/** Arrays drawn large in the panel itself, where what a step or an entry touches is lit. */
function sceneryOf(arrays) {
  return element(
    "div",
    { class: "scenery" },
    arrays.map((array) => new ArrayView(array, { room: 380, tall: 260 }).element),
  );
}

function layerHeading(layer) {
  return element("h2", {}, layer.name, " ", element("small", {}, code(layer.text)));
}

/** First, back, play, forward, a slider and the speed. PLAYER.go(n) shows step n. */
function controlsOf(scene, story) {
  const last = scene.count - 1;
  const label = element("output", { class: "size" });
  const slider = element("input", {
    type: "range",
    min: 0,
    max: last,
    value: 0,
    "aria-label": "Step",
    oninput: () => PLAYER.go(Number(slider.value)),
  });
  const play = quietButton("Play", () => (PLAYER.timer ? stopPlayer() : startPlayer()));
  const speed = element(
    "select",
    { "aria-label": "Speed", onchange: () => setSpeed(Number(speed.value)) },
    Object.entries(SPEEDS).map(([steps, name]) =>
      element("option", { value: steps, selected: Number(steps) === PLAYER.speed }, name),
    ),
  );
  Object.assign(PLAYER, {
    play,
    go: (n) => {
      const place = Math.max(0, Math.min(last, n));
      slider.value = PLAYER.step = place;
      label.textContent = `${scene.unit} ${(place + 1).toLocaleString("en")} of ${scene.count.toLocaleString("en")}`;
      if (place >= last) stopPlayer();
      const { marks, story: told } = scene.step(place);
      fill(story, told);
      lightForGood(marks);
    },
  });
  return element(
    "div",
    { class: "controls" },
    quietButton("First", () => PLAYER.go(0)),
    quietButton("Back", () => PLAYER.go(PLAYER.step - 1)),
    play,
    quietButton("Forward", () => PLAYER.go(PLAYER.step + 1)),
    slider,
    speed,
    label,
  );
}

function startPlayer() {
  if (Number(PLAYER.step) >= Number(byId("player").querySelector("[type=range]").max)) PLAYER.go(0);
  PLAYER.play.textContent = "Pause";
  PLAYER.timer = setInterval(() => PLAYER.go(PLAYER.step + 1), 1000 / PLAYER.speed);
}

function stopPlayer() {
  clearInterval(PLAYER.timer);
  PLAYER.timer = null;
  if (PLAYER.play) PLAYER.play.textContent = "Play";
}

function setSpeed(speed) {
  PLAYER.speed = speed;
  if (PLAYER.timer) {
    stopPlayer();
    startPlayer();
  }
}
