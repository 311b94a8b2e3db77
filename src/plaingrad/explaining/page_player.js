// A layer step by step, with its arithmetic. What can be played follows from what is recorded: terms of its output, of
// the error it hands back, and of its weight gradients.

const SPEEDS = { 1: "slow", 4: "normal", 20: "fast" };
const PLAYER = { mode: null, speed: 4, by: "term", at: null };

function modesOf(layer) {
  const recorded = (name) => ARRAY_NAMED.get(name)?.terms;
  const isWhole = (name) => recorded(name) && !ARRAY_NAMED.get(name).held;
  const modes = {};
  if (isWhole(layer.sums)) modes.forward = "forward: each output";
  if (layer.dy && isWhole(layer.dx)) modes.back = "error back: from each output";
  if (layer.dy && isWhole(layer.dx)) modes.collect = "error back: to each input";
  if (layer.gradients.some(recorded)) modes.weight = "weight gradients";
  return modes;
}

const SCENES = {
  forward: (layer) => sumScene([ARRAY_NAMED.get(layer.sums)], "output"),
  back: shareScene,
  collect: (layer) => sumScene([ARRAY_NAMED.get(layer.dx)], "input"),
  weight: (layer) =>
    sumScene(
      layer.gradients.map((name) => ARRAY_NAMED.get(name)).filter((array) => array?.terms),
      "weight",
    ),
};

async function drawPlayer(layer) {
  stopPlaying();
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
  showView(mode === "forward" ? "values" : mode === "weight" ? "gradients" : "errors");
  scrollToLayer(layer);
  const controls = controlsOf(scene, story);
  fill(
    root,
    layerHeading(layer),
    element(
      "fieldset",
      { class: "switch" },
      element("legend", { class: "unseen" }, "What to play"),
      radios("mode", modes, mode, pick),
    ),
    controls,
    element("div", { class: "play" }, story, sceneryOf(scene.arrays)),
  );
  showLegend(scene.arrays.at(-1));
  takeFocus("player");
  const { at } = PLAYER;
  const isSame = at && at.layer === layer && at.mode === mode && at.asked === SHOWN.cell;
  PLAYER.at = isSame ? at : { layer, mode, asked: SHOWN.cell, item: scene.first, part: 0 };
  PLAYER.go(PLAYER.at.item, PLAYER.at.part);
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

/** The buttons, a slider, what a step is, and the speed. PLAYER.go(item, part) shows a place. */
function controlsOf(scene, story) {
  const last = scene.items - 1;
  const label = element("output", { class: "size" });
  const partsOf = (item) => Math.max(1, scene.parts(item));
  const isByPart = () => PLAYER.by === "term";
  PLAYER.go = (item, part) => {
    const place = Math.max(0, Math.min(last, item));
    const parts = partsOf(place);
    const within = Math.max(0, Math.min(parts - 1, part));
    Object.assign(PLAYER.at, { item: place, part: within });
    slider.value = place;
    const of = (one, n, count) => `${one} ${grouped(n + 1)} of ${grouped(count)}`;
    label.textContent = of(scene.unit, place, scene.items) + (isByPart() ? `, ${of(scene.part, within, parts)}` : "");
    const { marks, story: told } = scene.show(place, isByPart() ? within : null);
    fill(story, told);
    lightForGood(marks);
  };
  const moves = {
    first: () => PLAYER.go(0, 0),
    back() {
      const { item, part } = PLAYER.at;
      if (isByPart() && part > 0) PLAYER.go(item, part - 1);
      else if (item > 0) PLAYER.go(item - 1, isByPart() ? partsOf(item - 1) - 1 : 0);
    },
    forward() {
      const { item, part } = PLAYER.at;
      const isWithin = isByPart() && part < partsOf(item) - 1;
      if (isWithin) PLAYER.go(item, part + 1);
      else if (item < last) PLAYER.go(item + 1, 0);
      return isWithin || item < last;
    },
  };
  const stepper = new Stepper(moves, () => 1000 / PLAYER.speed);
  const slider = element("input", {
    type: "range",
    min: 0,
    max: last,
    value: 0,
    "aria-label": `Which ${scene.unit}`,
    oninput: () => PLAYER.go(Number(slider.value), 0),
  });
  const by = choice(
    "One step is",
    { term: `${scene.part} by ${scene.part}`, item: `${scene.unit} by ${scene.unit}` },
    PLAYER.by,
    (chosen) => {
      PLAYER.by = chosen;
      PLAYER.go(PLAYER.at.item, PLAYER.at.part);
    },
  );
  const speed = choice("Speed", SPEEDS, PLAYER.speed, (chosen) => {
    PLAYER.speed = Number(chosen);
    stepper.again();
  });
  return element("div", { class: "controls" }, stepper.buttons, slider, by, speed, label);
}

/** A list to choose from; calls `chosen` with the value picked. */
function choice(label, options, picked, chosen) {
  const made = element(
    "select",
    { "aria-label": label, title: label, onchange: () => chosen(made.value) },
    Object.entries(options).map(([value, name]) =>
      element("option", { value, selected: value === String(picked) }, name),
    ),
  );
  return made;
}
