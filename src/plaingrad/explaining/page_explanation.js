// One number explained: what it is, its formula, the terms it was made of, and where it goes.

const FIRST_ROWS = 12;
const PAGE_ROWS = 100;
const SHOWN = { cell: null, order: null, trail: [] }; // no order: the loops' own where all terms are shown

/** Fills the panel for a name; resolves when it is drawn. */
async function explain(name, keepsView = false) {
  const found = findCell(name);
  const { array, cell } = found;
  const root = byId("explanation");
  SHOWN.cell = cell ?? SHOWN.cell;
  if (found.problem) {
    delete root.dataset.quantity;
    const nearest = array
      ? cellName(array.start)
      : cellName(ARRAY_NAMED.get(nearestName(name.replace(/\[.*/s, ""))).start);
    fill(
      root,
      trailOf(SHOWN.trail),
      element("p", { class: "warning", role: "alert" }, found.problem),
      paragraph("Open ", linkTo(nearest), " instead."),
    );
    return;
  }
  const records = await recordsOf(array, cell);
  if (SHOWN.cell !== cell) return; // another was asked for meanwhile
  root.dataset.quantity = cellName(cell);
  fill(
    root,
    trailOf(SHOWN.trail),
    element(
      "div",
      { class: "summary" },
      headingOf(cell),
      comparisonOf(cell),
      element("p", { class: "about" }, array.about),
    ),
    formulaOf(array),
    bodyOf(array, cell, records),
    usesPlace(),
    sourceOf(array),
  );
  if (keepsView) PAGE.layer = layerOf(array);
  else showArrayOf(array);
  showChange(cell);
  lightForGood([{ cell, kind: "picked" }]);
  showLegend(keepsView ? ARRAYS[0] : array);
  say(`Explained: ${cellName(cell)} is ${shown(NUMBERS.values[cell])}`);
  document.title = `${cellName(cell)} · ${DATA.title}`;
  clearTimeout(SHOWN.uses); // of a changed run every record is made anew: once, when changing has come to rest
  SHOWN.uses = setTimeout(() => fillUses(cell), LIVE.isChanged ? 700 : 0);
}

function later(task) {
  setTimeout(task);
}

/** Resolves once what waits has had its turn. */
function quiet() {
  return new Promise(later);
}

function linkTo(name) {
  const follow = (event) => {
    event.preventDefault();
    open(name);
  };
  return element("a", { href: addressOf(name), onclick: follow }, code(name));
}

function trailOf(trail) {
  const kept = trail.slice(-7);
  const links = kept.map((name, n) =>
    element("li", {}, n === kept.length - 1 ? element("code", { "aria-current": "true" }, name) : linkTo(name)),
  );
  return element(
    "nav",
    { "aria-label": "The way you came" },
    element("ol", { class: "trail" }, trail.length > kept.length ? element("li", {}, "…") : null, links),
  );
}

function headingOf(cell) {
  return element(
    "h2",
    { class: "quantity", tabindex: -1 },
    code(cellName(cell)),
    element("span", { class: "equals" }, " = "),
    numberOf(cell),
  );
}

/** What the compiled training code made of the same number. */
function comparisonOf(cell) {
  const [value, run, bound] = [NUMBERS.values[cell], NUMBERS.run?.[cell] ?? NaN, NUMBERS.bounds?.[cell] ?? NaN];
  if (Number.isNaN(run)) return null;
  if (LIVE.isChanged)
    return element("p", { class: "comparison" }, "A number of the run was changed: this one was computed on this page.");
  const difference = Math.abs(value - run);
  const number = (kind, of, digits) =>
    element("span", { class: "number", [`data-${kind}`]: of, title: String(of) }, shown(of, digits));
  return element(
    "p",
    { class: "comparison" },
    "The compiled run has ",
    number("run", run),
    ", ",
    number("difference", difference, 2),
    " apart",
    Number.isNaN(bound)
      ? null
      : [difference > bound ? "; rounding allows only " : "; rounding allows ", number("bound", bound, 2)],
    ".",
  );
}

function bodyOf(array, cell, records) {
  const index = cell - array.start;
  if (!array.made_by) return paragraph("This number is given: nothing inside the network made it.");
  if (!isHeld(array, index)) {
    const command = code(`plaingrad explain RUN "${cellName(cell)}"`);
    return paragraph("Its terms are not in this page. Ask for them with ", command, ".");
  }
  const because = reasonsList(records.reasons, index);
  const { terms } = records;
  const entries = entriesOf(terms, index);
  if (!entries.length) return [because, paragraph("No term was added, so it is 0.")];
  return [
    numbersOf(cell, terms, entries),
    toldLine(cell),
    because,
    originOf(terms, entries),
  ];
}

function reasonsList(reasons, index) {
  if (!reasons) return null;
  const entries = [...entriesOf(reasons, index)];
  const sentences = entries.map((entry) =>
    element("li", {}, sentenceOf(reasons.patterns[reasons.kinds[entry]], refsOf(reasons, entry))),
  );
  return sentences.length ? element("ul", { class: "reasons" }, sentences) : null;
}

/** The formula once more, with the numbers of this cell in it: all of them, or the largest ones. */
function numbersOf(cell, terms, entries) {
  const isLong = entries.length > 4;
  const told = isLong ? largestFirst(terms, entries).subarray(0, 3) : entries;
  const left = entries.length - told.length;
  const parts = [...told].map((entry, n) => mathOfTerm(terms, entry, n > 0));
  if (left)
    parts.push(
      mathBlock(mathElement("mo", "+"), mathElement("mo", "⋯"), mathElement("mtext", ` ${counted(left, "more term")}`)),
    );
  const total = numberInMath(cell, shown(NUMBERS.values[cell]));
  parts.push(mathBlock(mathElement("mo", "="), total));
  const title = "With this cell’s numbers";
  return element(
    "section",
    { class: "formula" },
    element("h3", {}, isLong ? `${title}, its largest terms first` : title),
    scrolling(element("div", { class: "numbers" }, mathBlock(named(cell), mathElement("mo", "=")), parts)),
  );
}

function numberInMath(cell, text) {
  const made = mathElement("mn", text);
  Object.assign(made.dataset, { cell: cellName(cell), value: NUMBERS.values[cell] });
  return made;
}

function named(cell) {
  return mathElement("mtext", cellName(cell));
}

function mathOfTerm(terms, entry, isNext) {
  const pattern = terms.patterns[terms.kinds[entry]];
  const cells = refsOf(terms, entry);
  const number = (cell) => {
    const text = shown(NUMBERS.values[cell]);
    const line = mathElement("mpadded", numberInMath(cell, text.startsWith("−") ? `(${text})` : text));
    line.setAttribute("depth", "0.3em"); // as deep with brackets as without, so that the names stand on one line
    return mathElement("munder", line, named(cell));
  };
  const made = mathOf(pattern.math, { slot: (n) => number(cells[n]) });
  const hasSign = pattern.text.startsWith("−");
  return isNext && !hasSign ? mathBlock(mathElement("mo", "+"), made) : mathBlock(made);
}

/** The terms, and beside them the maps that their factors lie in. */
function originOf(terms, entries) {
  const pictures = picturesOf(terms, entries);
  const table = termsTable(terms, entries, pictures);
  return element("section", { class: "origin" }, table, pictures);
}

function termsTable(terms, entries, pictures) {
  const place = element("div", { class: "terms" });
  const state = { first: 0, rows: FIRST_ROWS };
  const picked = SHOWN.order ?? (entries.length > FIRST_ROWS ? "size" : "loops");
  let order;
  const sort = (by) => (order = by === "size" ? largestFirst(terms, entries) : entries);
  const onward = onwardOf(terms, entries);
  const draw = () => {
    fill(place, rowsOf(terms, order, state, draw, onward, pictures));
    numberTerms(pictures, terms, order);
    oneStop(place, "tbody .factor", place.querySelector("[data-onward]"));
  };
  const choose = (by) => {
    SHOWN.order = by;
    state.first = 0;
    sort(by);
    draw();
  };
  sort(picked);
  draw();
  return element(
    "div",
    {},
    element(
      "div",
      { class: "heading" },
      element("h3", {}, counted(entries.length, "term")),
      element(
        "fieldset",
        { class: "switch" },
        element("legend", { class: "unseen" }, "Order of the terms"),
        radios("order", { loops: "in order", size: "largest first" }, picked, choose),
      ),
    ),
    place,
  );
}

function largestFirst({ shares }, entries) {
  return entries.toSorted((a, b) => sizeOf(shares[b]) - sizeOf(shares[a]) || a - b);
}

/** For sorting: what is no number is shown first, since it spoils the sum. */
function sizeOf(share) {
  return Number.isNaN(share) ? Infinity : Math.abs(share);
}

function rowsOf(terms, order, state, draw, onward, pictures) {
  const last = Math.min(state.first + state.rows, order.length);
  const largest = order.reduce((most, entry) => Math.max(most, Math.abs(terms.shares[entry]) || 0), 0) || 1;
  const rows = [];
  let total;
  for (let n = 0; n < last; n++) {
    const share = terms.shares[order[n]];
    total = n ? total + share : share;
    if (n < state.first) continue;
    const row = rowOf(terms, order[n], n, total, largest, pictures);
    const onwards = order[n] === onward.entry && row.querySelector(`[data-opens="${cellName(onward.cell)}"]`);
    if (onwards) onwards.dataset.onward = "";
    rows.push(row);
  }
  const head = ["", "made of", "term", "sum so far"].map((text) => element("th", { scope: "col" }, text));
  const table = element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
  return [element("div", { class: "scroll" }, table), pagerOf(terms, order, state, draw, last)];
}

function rowOf(terms, entry, n, total, largest, pictures) {
  const pattern = terms.patterns[terms.kinds[entry]];
  const cells = refsOf(terms, entry);
  const share = terms.shares[entry];
  const marks = marksOf(cells);
  const hold = (own) => {
    light(own);
    joinFactors(pictures, own.map(({ cell }) => cell));
    pictures.classList.toggle("holds", own.length > 0);
  };
  const [take, leave] = [() => hold(marks), () => hold([])];
  const bar = element("span", {
    class: share < 0 ? "share negative" : "share positive",
    style: `--part: ${Math.abs(share) / largest || 0}`,
  });
  return element(
    "tr",
    { onpointerover: take, onfocusin: take, onpointerleave: leave, onfocusout: leave },
    element("td", { class: "count" }, String(n + 1)),
    element("td", { class: "made" }, sentenceOf(pattern, cells)),
    element("td", { class: "amount", "data-label": "term" }, sumNumber("product", share), bar),
    element("td", { class: "amount", "data-label": "sum so far" }, sumNumber("total", total)),
  );
}

function pagerOf(terms, order, state, draw, last) {
  const go = (first, rows) => () => {
    Object.assign(state, { first, rows });
    draw();
  };
  if (state.rows === FIRST_ROWS) {
    if (last === order.length) return null;
    const rest = order.subarray(last).reduce((sum, entry) => sum + terms.shares[entry], 0);
    const more = `${(order.length - last).toLocaleString("en")} more, summing to `;
    return element("p", { class: "pager" }, more, sumNumber("rest", rest), quietButton("all", go(0, PAGE_ROWS)));
  }
  return element(
    "p",
    { class: "pager" },
    quietButton("before", go(state.first - PAGE_ROWS, PAGE_ROWS), { disabled: !state.first }),
    `${state.first + 1} – ${last} of ${order.length.toLocaleString("en")}`,
    quietButton("next", go(state.first + PAGE_ROWS, PAGE_ROWS), { disabled: last === order.length }),
    quietButton("fewer", go(0, FIRST_ROWS)),
  );
}

/** The parts of the maps that the terms were read from, with every cell that was used outlined. */
function picturesOf(terms, entries) {
  const used = new Map();
  for (const entry of entries) {
    for (const cell of refsOf(terms, entry)) {
      const array = arrayOf(cell);
      if (!used.has(array)) used.set(array, new Set());
      used.get(array).add(cell);
    }
  }
  const mostFirst = [...used].sort(([, a], [, b]) => b.size - a.size);
  const pictures = mostFirst.slice(0, 4).map(([array, cells]) => pictureOf(array, [...cells]));
  return element(
    "aside",
    { class: "pictures", "aria-label": "Where the factors lie" },
    element("div", { class: "maps" }, pictures),
    note("Outlined: every number that was used; the small figures count the terms. Point at a term to see its own."),
  );
}

function pictureOf(array, cells) {
  const [width, height] = [array.shape.at(-1) ?? 1, array.shape.at(-2) ?? 1];
  const places = array.shape.length < 2 ? [] : cells.map((cell) => cell - array.start);
  const only = [...new Set(places.map((index) => Math.floor(index / (width * height))))].slice(0, 16);
  const around = ([low, high], size) => {
    if (size <= 9) return [0, size];
    if (high - low < 9) return [Math.max(0, low - 1), Math.min(size, high + 2)]; // near enough to write the numbers
    return size <= 32 ? [0, size] : [Math.max(0, low - 3), Math.min(size, high + 4)];
  };
  const [left, right] = around(spanOf(places.map((index) => index % width)), width);
  const [top, bottom] = around(spanOf(places.map((index) => Math.floor(index / width) % height)), height);
  const options = places.length
    ? {
        only,
        window: { top, left, height: bottom - top, width: right - left },
        note: counted(cells.length, "number used", "numbers used"),
      }
    : {};
  const view = new ArrayView(array, { ...options, room: 256, tall: 250, most: LARGEST_SQUARE, stands: true });
  view.own = cells.length < array.size ? cells.map((cell) => ({ cell, kind: "used" })) : [];
  view.drawMarks();
  return view.element;
}

function spanOf(numbers) {
  return numbers.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, 0]);
}

function usesPlace() {
  return element("section", { id: "uses", "aria-live": "off" });
}

/** Cells whose terms use this one, array by array. It reads every record: only while nothing else is done. */
async function fillUses(used) {
  const groups = [];
  for (const array of ARRAYS) {
    if (!array.read.terms) await quiet();
    while (PAGE.tab !== "explanation" && SHOWN.cell === used) await new Promise((go) => setTimeout(go, 200));
    if (SHOWN.cell !== used) return;
    const terms = await recordOf(array, "terms");
    const cells = terms ? [...new Set(usesIn(array, terms, used).map((use) => use.cell))] : [];
    if (cells.length) groups.push(usesGroup(array, cells));
  }
  const place = byId("uses");
  if (SHOWN.cell === used && place && groups.length) {
    fill(place, element("h3", {}, "Goes into"), groups);
    oneStop(place, ".factor");
  }
}

function usesGroup(array, cells) {
  const more = cells.length > 6 ? ` and ${(cells.length - 6).toLocaleString("en")} more` : "";
  return element(
    "p",
    { class: "uses" },
    element("span", {}, `${counted(cells.length, "cell")} of `, code(array.name), ": "),
    cells.slice(0, 6).map((cell) => cellButton(cell)),
    more,
  );
}

function sourceOf(array) {
  const text = DATA.layers.flatMap((layer) => layer.texts).find(({ name }) => name === array.made_by);
  if (!text) return null;
  return element(
    "details",
    { class: "source" },
    element("summary", {}, "The text that made it: ", code(text.name)),
    element("pre", { tabindex: "0" }, code(text.source)),
  );
}
