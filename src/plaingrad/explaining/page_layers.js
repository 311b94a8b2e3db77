// The network: its layers in a row, large where there is room for them, a strip while something is explained.

const VIEW_LISTS = { values: ["values", "weights", "others"], errors: ["errors"], gradients: ["weights", "gradients"] };
const SMALL = { numbers: 400, array: 64 }; // a network whose numbers are all written at once
const STRIP = { room: 320, tall: 92, stands: true, most: 14 };

function isSmallNetwork() {
  const total = ARRAYS.reduce((sum, { size }) => sum + size, 0);
  return !DATA.partial && total <= SMALL.numbers && ARRAYS.every(({ size }) => size <= SMALL.array);
}

/** On a narrow page the layers stand one below the other, and are never a strip. */
function isNarrow() {
  return matchMedia("(max-width: 600px)").matches;
}

/** The layers as a strip or with all the room there is, in a view; another row takes their place only if one is meant. */
function showLayers({ isStrip = PAGE.isStrip, view = PAGE.view }) {
  Object.assign(PAGE, { isStrip, view });
  const size = isStrip && !isNarrow() ? "strip" : "whole";
  const row = rowNamed(size, view);
  byId("whole").textContent = isStrip ? "Whole network" : "Network as a strip";
  document.querySelector(`#views [value="${view}"]`).checked = true;
  if (PAGE.row === row) return;
  PAGE.row = row;
  document.body.dataset.network = size;
  byId("layers").replaceChildren(...DATA.layers.map((layer) => layerCard(layer, size, view)));
  drawStale();
  light();
  mapsAsOneStop();
  drawArrows();
}

function showAsStrip(isStrip) {
  showLayers({ isStrip });
}

function showView(view) {
  showLayers({ view });
}

/** A small network shows all its arrays in one view. */
function rowNamed(size, view) {
  return PAGE.isSmall ? size : `${size} ${view}`;
}

const CARDS = new Map(); // the cards drawn so far, by row and layer; those of a part of a large network are not kept

function layerCard(layer, size, view) {
  const key = `${rowNamed(size, view)} ${layer.name}`;
  const card = CARDS.get(key) ?? drawnCard(layer, size === "strip", view);
  if (!DATA.partial) CARDS.set(key, card);
  return card;
}

/** The cards that are not shown are drawn while nothing is asked for, so that a click finds them. */
function drawOtherCards() {
  const [sizes, views] = [isNarrow() ? ["whole"] : ["strip", "whole"], Object.keys(VIEW_LABELS)];
  if (DATA.partial) return;
  for (const size of sizes)
    for (const view of views) for (const layer of DATA.layers) whenIdle(() => layerCard(layer, size, view));
}

function drawnCard(layer, isStrip, view) {
  const show = (tab) => () => {
    showAsStrip(true);
    showTab(tab, layer);
    bringIntoSight();
  };
  const tool = (tab, label) => quietButton(label, show(tab), { tabindex: -1 }); // by keyboard the tabs do the same
  return element(
    "article",
    { class: "layer", "data-layer": layer.name, "aria-label": layer.name },
    element("h3", { title: layer.about }, layer.name),
    layer.text && layer.text !== layer.name ? element("p", { class: "text" }, code(layer.text)) : null,
    element("div", { class: PAGE.isSmall ? "group pairs" : "group" }, contentOf(layer, isStrip, view)),
    element("p", { class: PAGE.isSmall ? "about unseen" : "about" }, layer.about), // its heading says it on hover too
    PAGE.isSmall && !isStrip ? [beginningOf(layer), probabilitiesOf(layer)] : null,
    element(
      "p",
      { class: "tools" },
      Object.keys(modesOf(layer)).length ? tool("player", PAGE.isSmall ? "Step" : "Step through") : null,
      layer.dense ? tool("matrix", PAGE.isSmall ? "Dense" : "As a dense layer") : null,
    ),
  );
}

/** The probability of each class, at the end of the network. */
function probabilitiesOf(layer) {
  return layer === DATA.layers.at(-1) && DATA.probabilities ? probabilityBars() : null;
}

function contentOf(layer, isStrip, view) {
  if (PAGE.isSmall) return columnsOf(layer, isStrip);
  const isBare = view === "gradients" && !layer.gradients.length; // it learns nothing: its values are factors
  const lists = VIEW_LISTS[isBare ? "values" : view];
  const wanted = arraysNamed(lists.flatMap((list) => layer[list])).filter((array) => !(isStrip && array.points_at));
  const options = (array) => (isStrip ? { ...STRIP, caption: shortName(array) } : { most: LARGEST_SQUARE });
  const drawn = wanted.map((array) => new ArrayView(array, { ...options(array), isKept: !DATA.partial }).element);
  if (view === "values" && !isStrip) drawn.push(...present([probabilitiesOf(layer)]));
  if (drawn.length) return drawn;
  return beginningOf(layer) ?? note(view === "errors" ? "No error reaches it." : "Nothing is held here.");
}

/** Of a small network everything is shown: an error below its value, a gradient below its weight. */
function columnsOf(layer, isStrip) {
  const tallest = Math.max(...ARRAYS.map((array) => array.shape.at(array.shape.length < 2 ? 0 : -2) ?? 1));
  const options = isStrip
    ? { ...STRIP, tall: 74, most: Math.max(4, Math.min(13, Math.floor(48 / tallest))) }
    : { most: LARGEST_SQUARE, room: 700, tall: 700, stands: true };
  const draw = (array) => array && new ArrayView(array, { ...options, caption: shortName(array), isKept: true }).element;
  const below = (array) => {
    const own = `${layer.name}.d${shortName(array)}`;
    return ARRAY_NAMED.get(layer.name === array.name ? layer.errors[0] : own);
  };
  const shown = [...layer.weights, ...layer.values];
  const columns = arraysNamed(shown).map((array) => [array, below(array)]);
  const known = new Set(columns.flat().filter(Boolean));
  const left = arraysNamed([...layer.errors, ...layer.gradients, ...layer.others]).filter((array) => !known.has(array));
  if (layer.name === "loss") {
    const [wide, narrow] = [left.filter(({ size }) => size > 1), left.filter(({ size }) => size === 1)];
    columns.push(wide, narrow);
  } else if (columns.length) columns.at(-1).push(...left);
  else columns.push(left);
  const full = columns.filter((each) => each.some(Boolean));
  const made = full.map((each) => element("div", { class: "pair" }, each.map(draw)));
  return [made, isStrip ? beginningOf(layer) : null];
}

function arraysNamed(names) {
  return [...new Set(names)].map((name) => ARRAY_NAMED.get(name)).filter(Boolean);
}

/** A name without its layer, where the array stands in that layer's card. */
function shortName({ name }) {
  const dot = name.lastIndexOf(".");
  const isOwn = layerOf(ARRAY_NAMED.get(name))?.name === name.slice(0, dot);
  return isOwn && !isHandedToInput(name) ? name.slice(dot + 1) : name;
}

/** The error that the first layer hands to the image stands in the card of the input. */
function isHandedToInput(name) {
  return DATA.layers[0].errors.includes(name);
}

/** The loss holds no error of its own: what it sends back is that of the last layer. */
function beginningOf(layer) {
  if (layer.name !== "loss" || !layer.dx) return null;
  return note("Here the errors begin: the first is ", linkTo(layer.dx), ".");
}

/** The view that shows an array. */
function viewFor({ role }) {
  return ROLE_VIEWS[role] ?? "values";
}

/** Scrolls the layer that shows an array into the row. */
function scrollToArray(array) {
  const canvas = viewOf(array)?.cells;
  if (canvas) scrollToCard(canvas.closest(".layer"));
}

/** Scrolls a layer's own card into the row, or on a phone above the sheet. */
function scrollToLayer({ name }) {
  const card = [...byId("layers").children].find((each) => each.dataset.layer === name);
  if (!card) return;
  if (getComputedStyle(byId("stage")).position === "fixed") scrollAboveSheet(card.querySelector("h3"), card);
  else scrollToCard(card);
}

function scrollToCard(card) {
  const row = byId("layers");
  if (row.scrollWidth <= row.clientWidth) return;
  const [box, rowBox] = [card.getBoundingClientRect(), row.getBoundingClientRect()];
  if (box.left < rowBox.left || box.right > rowBox.right)
    row.scrollLeft += box.left - rowBox.left - Math.max(0, (rowBox.width - box.width) / 2);
}

/** The map of an array in its layer's card, where it is shown. */
function viewOf(array) {
  return [...VIEWS].find((view) => view.array === array && byId("layers").contains(view.cells));
}
