// The page put together: the layers in a row, the switch between views, the address, the tabs.

const VIEW_LABELS = { values: "values", errors: "error signals", gradients: "weight gradients" };
const ROLE_VIEWS = { error: "errors", gradient: "gradients" };
const TABS = { explanation: "Explanation", way: "Error’s way", player: "Step through", matrix: "Dense layer" };
const PAGE = { view: "values", tab: "explanation", layer: null, map: null, isSmall: false, isStrip: false, row: null };

function drawHeader() {
  const { title, classes, label, probabilities, loss, partial } = DATA;
  byId("title").textContent = title;
  const said = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  const verdict = [];
  if (said >= 0)
    verdict.push(
      "The network says ",
      element("b", {}, classes[said] ?? String(said)),
      ` with probability ${shown(probabilities[said], 4)}. `,
    );
  if (label !== null)
    verdict.push(
      "The label says ",
      element("b", {}, classes[label] ?? String(label)),
      said < 0 || said === label ? ". " : ": it is wrong. ",
    );
  if (loss) {
    const value = loss.value ?? NaN; // JSON has no word for what is not a number
    verdict.push(
      "The loss is ",
      element("span", { class: "number", title: String(value), "data-loss": value }, shown(value)),
      ".",
    );
  }
  byId("verdict").replaceChildren(...verdict);
  for (const [id, told] of Object.entries({ partial, note: DATA.note })) {
    byId(id).hidden = !told;
    byId(id).textContent = told ?? "";
  }
}

function probabilityBars() {
  return element(
    "ol",
    { class: "bars", "aria-label": "Probability of each class" },
    DATA.probabilities.map((probability, n) =>
      element(
        "li",
        { class: n === DATA.label ? "true" : null, style: `--part: ${Number.isFinite(probability) ? probability : 0}` },
        element("span", {}, DATA.classes[n] ?? String(n)),
        element("i", {}),
        element("span", { class: "number", title: String(probability) }, shown(probability, 3)),
      ),
    ),
  );
}

function showTab(tab, layer = PAGE.layer) {
  Object.assign(PAGE, { tab, layer });
  for (const button of byId("tabs").children) button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
  for (const name of Object.keys(TABS)) byId(name).hidden = name !== tab;
  document.body.dataset.tab = tab;
  byId("panel").setAttribute("aria-label", TABS[tab]);
  showSheet(true);
  if (tab !== "explanation") lightForGood([]);
  stopPlaying();
  if (tab === "player") drawPlayer(layer);
  if (tab === "way") drawWay(SHOWN.cell);
  else hidePath();
  if (tab === "matrix") drawMatrix(layer);
  if (tab === "explanation" && SHOWN.cell !== null) lightForGood([{ cell: SHOWN.cell, kind: "picked" }]);
}

/** On a phone the panel is a sheet over the page's lower half, which a button opens and closes. */
function showSheet(isOpen) {
  byId("stage").classList.toggle("open", isOpen);
  byId("sheet").setAttribute("aria-expanded", String(isOpen));
  byId("sheet").textContent = isOpen ? "Close" : "Open";
}

function drawTabs() {
  byId("tabs").replaceChildren(
    ...Object.entries(TABS).map(([tab, label]) =>
      element(
        "button",
        { type: "button", "data-tab": tab, "aria-controls": "panel", onclick: () => showTab(tab) },
        label,
      ),
    ),
  );
}

function addressOf(name) {
  return `#${encodeURIComponent(name).replace(/%5B/g, "[").replace(/%5D/g, "]").replace(/%2C/g, ",")}`;
}

function nameInAddress() {
  const written = location.hash.slice(1);
  try {
    return decodeURIComponent(written);
  } catch {
    return written; // a lone % sign
  }
}

/** A step for the browser's back button and for links. Inside a notebook's frame there is no address to write to. */
function remember(trail, name) {
  try {
    history.pushState({ trail }, "", addressOf(name));
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
  }
}

/** Explains a quantity as a step on the way: the address and the trail grow by its name. */
function open(name, byKey = false) {
  const found = findCell(name);
  const full = found.problem ? name : cellName(found.cell);
  const place = SHOWN.trail.indexOf(full);
  const trail = place >= 0 ? SHOWN.trail.slice(0, place + 1) : [...SHOWN.trail, full];
  if (SHOWN.trail.at(-1) !== full) remember(trail, full);
  SHOWN.trail = trail;
  const isWalking = byId("explanation").contains(document.activeElement);
  showLayers({ isStrip: true, view: found.array ? viewFor(found.array) : PAGE.view });
  showTab("explanation");
  return explain(full).then(() => {
    bringIntoSight();
    if (byKey) focusOnward();
    else if (isWalking) document.querySelector("#explanation h2")?.focus({ preventScroll: true });
  });
}

/** Scrolls as little as lets the explanation begin below the layers, or in the lower half of a low window. */
function bringIntoSight() {
  if (getComputedStyle(byId("stage")).position === "fixed") return bringAboveSheet();
  const network = document.querySelector(".network");
  const covered = getComputedStyle(network).position === "sticky" ? network.offsetHeight : innerHeight / 2;
  const { top } = byId("stage").getBoundingClientRect();
  if (top < covered - 2 || top > innerHeight * 0.62) scrollBy(0, top - covered);
}

/** On a phone: the map of what is explained is scrolled to the part of the page that the sheet leaves free. */
function bringAboveSheet() {
  byId("panel").scrollTop = 0;
  const canvas = viewOf(arrayOf(SHOWN.cell))?.cells;
  if (canvas) scrollAboveSheet(canvas, canvas.closest("figure"));
}

function scrollAboveSheet(part, whole) {
  const { top, bottom } = part.getBoundingClientRect();
  if (top < 0 || bottom > byId("stage").getBoundingClientRect().top) whole.scrollIntoView();
}

function readAddress() {
  const asked = nameInAddress();
  const name = asked || DATA.opens;
  const found = findCell(name);
  SHOWN.trail = history.state?.trail ?? [found.problem ? name : cellName(found.cell)];
  const isAsked = Boolean(asked) || DATA.is_asked;
  showLayers({ isStrip: isAsked, view: isAsked && found.array ? viewFor(found.array) : PAGE.view });
  showTab("explanation");
  return explain(name, !isAsked).then(() => isAsked && bringIntoSight()); // who names nothing sees the picture first
}

function drawTheme() {
  const redraw = () => {
    readPalette();
    readMarkColours();
    redrawAll();
    drawArrows();
    if (PAGE.tab !== "explanation") showTab(PAGE.tab);
  };
  byId("theme").addEventListener("change", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
}

/** Where a cell lies on the page, for tests and teachers; its view is shown and scrolled to if need be. */
function cellAt(name) {
  const { array, cell } = findCell(name);
  if (cell === undefined) return null;
  showView(viewFor(array));
  if (!viewOf(array)) showAsStrip(false); // a strip leaves out what is too small to be read in it
  const holder = viewOf(array);
  if (!holder) return null;
  holder.cells.scrollIntoView({ block: "nearest", inline: "center" });
  const [box, corner] = [holder.cells.getBoundingClientRect(), holder.cornerOf(cell)];
  const middle = holder.layout.cell / 2;
  return { x: box.left + corner[0] + middle + scrollX, y: box.top + corner[1] + middle + scrollY };
}

async function start() {
  drawTabs();
  drawHeader();
  await loadNumbers();
  makeAlive();
  drawTheme();
  PAGE.isSmall = isSmallNetwork();
  byId("views").hidden = PAGE.isSmall;
  byId("views").append(...radios("view", VIEW_LABELS, "values", showView));
  byId("whole").addEventListener("click", () => showAsStrip(!PAGE.isStrip));
  addEventListener("keydown", (event) => event.key === "Escape" && showAsStrip(false));
  addEventListener("resize", () => showAsStrip(PAGE.isStrip));
  byId("sheet").addEventListener("click", () => showSheet(!byId("stage").classList.contains("open")));
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is for names
    byId("stage").focus();
  });
  addEventListener("popstate", readAddress);
  startAlive();
  await readAddress();
  showSheet(Boolean(nameInAddress())); // on a phone, a link shows its answer
  document.documentElement.dataset.ready = "1";
  warmUp();
  for (const array of ARRAYS) whenIdle(() => isTold(array) || recordsOf(array)); // unpacked, for a first click
  drawOtherCards();
}

globalThis.plaingrad = {
  open,
  cellAt,
  values: (name) => {
    const array = ARRAY_NAMED.get(name);
    return array ? NUMBERS.values.slice(array.start, array.start + array.size) : null;
  },
};
start();
