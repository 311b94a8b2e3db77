// Small tools to put things on the page: elements, numbers as text, mathematics, colours.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...present(children));
  return made;
}

/** Puts children, lists of them, and nothing where there is null, in the place of what an element held. */
function fill(root, ...children) {
  root.replaceChildren(...present(children));
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

function paragraph(...children) {
  return element("p", {}, ...children);
}

function note(...children) {
  return element("p", { class: "note" }, ...children);
}

function code(text) {
  return element("code", {}, text);
}

function quietButton(text, onclick, attributes = {}) {
  return element("button", { type: "button", class: "quiet", onclick, ...attributes }, text);
}

function byId(id) {
  return document.getElementById(id);
}

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

function shown(value, digits = 6) {
  if (Number.isNaN(value)) return DATA.partial ? "not held" : "NaN"; // a page of a slice has holes
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const isPlain = value === 0 || (size >= 1e-4 && size < 1e6);
  const [digitsPart, power] = isPlain
    ? [value.toPrecision(digits)]
    : value.toExponential(Math.min(digits, 4) - 1).split("e");
  const text = String(Number(digitsPart)).replace("-", "−");
  return power ? `${text}×10${[...String(Number(power))].map((digit) => RAISED[digit]).join("")}` : text;
}

/** A count with a comma between thousands; what the browser offers for it takes milliseconds. */
function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

function counted(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** The number of a cell, with all its digits on hover. */
function numberOf(cell) {
  const value = NUMBERS.values[cell];
  return element(
    "span",
    { class: "number", "data-cell": cellName(cell), "data-value": value, title: String(value) },
    shown(value),
  );
}

function sumNumber(kind, value) {
  return element("span", { class: "number", [`data-${kind}`]: value, title: String(value) }, shown(value));
}

/** A cell as a button that explains it; pointing at it lights it in the maps. */
function cellButton(cell, kind = "first") {
  const marks = [{ cell, kind }];
  return element(
    "button",
    {
      type: "button",
      class: `factor ${kind}`,
      "data-opens": cellName(cell),
      onclick: (event) => open(cellName(cell), event.detail === 0),
      onpointerenter: () => light(marks),
      onpointerleave: () => light(),
      onfocus: () => light(marks),
      onblur: () => light(),
    },
    element("span", { class: "name" }, cellName(cell)),
    numberOf(cell),
  );
}

/** A pattern such as "off, because {0} ≤ 0" with its cells as buttons. */
function sentenceOf(pattern, cells) {
  return pattern.text
    .split(/\{(\d+)\}/)
    .map((part, n) => (n % 2 ? cellButton(cells[part], kindOf(Number(part))) : part));
}

function kindOf(position) {
  return position ? "second" : "first";
}

/** Each factor's own mark, the same in the maps as on its button. */
function marksOf(cells) {
  return Array.from(cells, (cell, position) => ({ cell, kind: kindOf(position) }));
}

const MATH_TAGS = new Set("mrow msub msup msubsup mfrac msqrt munder mover munderover mi mn mo mtext".split(" "));

/** MathML from a small tree. `leaf` may dress a letter or sign; `slot` draws the cell a pattern leaves room for. */
function mathOf(tree, { leaf = (made) => made, slot = () => mathElement("mrow") } = {}) {
  const [tag, ...children] = typeof tree === "string" ? ["mi", tree] : tree;
  if (tag === "slot") return slot(children[0]);
  if (tag === "cell") return mathOf(spreadCell(children), { leaf, slot });
  if (!MATH_TAGS.has(tag)) return mathElement("mtext", tag);
  const isLeaf = children.length === 1 && typeof children[0] === "string" && /^(mi|mn|mo|mtext)$/.test(tag);
  const text = tag === "mtext" ? children[0].replaceAll(" ", "\u00a0") : children[0]; // MathML drops spaces at the ends
  if (isLeaf) return leaf(mathElement(tag, text), children[0]);
  const made = children.map((child) => mathOf(child, { leaf, slot }));
  if (tag === "msub" && children[0][0] === "mtext") {
    made[0] = mathElement("mpadded", made[0]);
    made[0].setAttribute("depth", "0.3em"); // as deep without a y as with one, so that all indices stand on one line
  }
  const isWord = tag.startsWith("munder") && children[0].length > 1; // max, min: what comes after stands apart
  if (!isWord) return mathElement(tag, ...made);
  const gap = mathElement("mspace");
  gap.setAttribute("width", "0.2em");
  return mathElement("mrow", mathElement(tag, ...made), gap);
}

/** A formula in pieces that fit on a line: it may break after its =, before a sign or words, and after its sums. */
function piecesOf(tree) {
  const pieces = [[]];
  for (let part of partsOf(tree)) {
    const [tag, text] = part;
    const isSign = tag === "mo" && /^[+−×]$/.test(text);
    const isWords = tag === "mtext" && /^[;, ]/.test(text);
    const isAfterSums = tag !== "munderover" && pieces.at(-1).at(-1)?.[0] === "munderover";
    if (isSign || isWords || isAfterSums) pieces.push([]);
    if (isWords && pieces.length > 1 && /^[;,]/.test(text)) {
      pieces.at(-2).push(["mtext", text[0]]); // a comma stays at the end of its line
      part = ["mtext", text.slice(1)];
    }
    pieces.at(-1).push(part);
    if (tag === "mo" && text === "=" && pieces.length === 1) pieces.push([]);
  }
  return pieces.filter((piece) => piece.length);
}

/** What stands side by side on the line of a formula; what is in brackets is one part. */
function partsOf(tree) {
  const isRow = Array.isArray(tree) && tree[0] === "mrow";
  if (!isRow || tree.some((part) => part[0] === "mo" && /^[(⌊⌈[|]$/.test(part[1]))) return [tree];
  return tree.slice(1).flatMap(partsOf);
}

/** A number of an array: the array's name, with the index below it. */
function spreadCell([name, ...index]) {
  const below = index.flatMap((each, n) => (n ? [["mo", ","], each] : [each]));
  return below.length ? ["msub", ["mtext", name], ["mrow", ...below]] : ["mtext", name];
}

function mathElement(tag, ...children) {
  const made = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  made.append(...children);
  return made;
}

/** A sign between two numbers, with its spaces also where a line begins or ends with it. */
function mathSign(text) {
  const made = mathElement("mo", text);
  made.setAttribute("form", "infix");
  return made;
}

function mathBlock(...children) {
  const made = mathElement("math", ...children);
  made.setAttribute("display", "block");
  return made;
}

/** A group of radio buttons; calls `chosen` with the value of the one picked. */
function radios(name, options, picked, chosen) {
  return Object.entries(options).map(([value, label]) =>
    element(
      "label",
      {},
      element("input", { type: "radio", name, value, checked: value === picked, onchange: () => chosen(value) }),
      element("span", {}, label),
    ),
  );
}

const PALETTE = { steps: 255, colours: null, soft: null, plain: null, strange: 0, missing: 0 };

/** Colours from −largest over zero to +largest, as the page's style names them. */
function readPalette() {
  const names = ["negative-full", "negative-half", "zero", "positive-half", "positive-full", "strange", "line"];
  const stops = coloursOf(names);
  const { steps } = PALETTE;
  PALETTE.colours = Uint32Array.from({ length: 2 * steps + 1 }, (_, n) => {
    const place = (n / (2 * steps)) * 4;
    const before = Math.min(Math.floor(place), 3);
    return packed(stops[before].map((part, i) => part + (stops[before + 1][i] - part) * (place - before)));
  });
  const [, below, zero, above] = stops;
  const under = Number(getComputedStyle(document.documentElement).getPropertyValue("--under-print"));
  PALETTE.soft = PALETTE.colours.map((_, n) => {
    const [end, share] = [n < steps ? below : above, (Math.abs(n - steps) / steps) * under];
    return packed(zero.map((part, i) => part + (end[i] - part) * share)); // pale, so that print on it is read
  });
  PALETTE.plain = PALETTE.colours.map(() => packed(zero));
  [PALETTE.strange, PALETTE.missing] = stops.slice(5).map(packed);
}

function packed([red, green, blue]) {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}

/** [red, green, blue] of each of some colours of the style, in the theme at hand. */
function coloursOf(names) {
  const probes = names.map((name) => element("i", { style: `color: var(--${name})` }));
  document.body.append(...probes);
  const colours = probes.map((probe) => getComputedStyle(probe).color.match(/[\d.]+/g).map(Number));
  for (const probe of probes) probe.remove();
  return colours;
}

function colourFor(value, largest, colours = PALETTE.colours) {
  if (Number.isNaN(value) && DATA.partial) return PALETTE.missing;
  if (!Number.isFinite(value)) return PALETTE.strange;
  return colours[PALETTE.steps + Math.round((value / largest) * PALETTE.steps)];
}

/** The largest magnitude among an array's finite numbers, which its colours are measured against. */
function largestOf(array) {
  if (array.largest === undefined) {
    array.largest = 0;
    for (let cell = array.start; cell < array.start + array.size; cell++) {
      const size = Math.abs(NUMBERS.values[cell]);
      if (size > array.largest && size < Infinity) array.largest = size;
    }
    array.largest ||= 1;
  }
  return array.largest;
}

function showLegend(array) {
  const limit = shown(largestOf(array), 3);
  fill(
    byId("legend"),
    code(array.name),
    element("span", {}, `−${limit}`),
    element("span", { class: "ramp", role: "img", "aria-label": "Colours: blue below zero, orange above" }),
    element("span", {}, `+${limit}`),
  );
}
