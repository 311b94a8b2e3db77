// One number explained: what it is, its formula, the terms it was made of, and where it goes.

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
  fill(
    byId("again"),
    `This number ${DATA.command ? "in the terminal" : "in Python"}: `,
    code(againOf(cell)),
    DATA.command ? [", and with ", code("--html FILE"), " a page that opens with it."] : ".",
  );
  PAGE.layer = layerOf(array);
  showChange(cell);
  lightForGood([{ cell, kind: "picked" }]);
  showLegend(keepsView ? ARRAYS[0] : array);
  say(`Explained: ${cellName(cell)} is ${shown(NUMBERS.values[cell])}`);
  document.title = `${cellName(cell)} · ${DATA.title}`;
  if (!keepsView) scrollToArray(array); // last: it asks where things lie, so that they are laid out but once
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

/** What explains a number of this run outside the page. */
function againOf(cell) {
  return DATA.command ? `${DATA.command} "${cellName(cell)}"` : `run.explain("${cellName(cell)}")`;
}

/** What the compiled training code made of the same number. */
function comparisonOf(cell) {
  const [value, run, bound] = [NUMBERS.values[cell], NUMBERS.run?.[cell] ?? NaN, NUMBERS.bounds?.[cell] ?? NaN];
  if (Number.isNaN(run)) return null;
  if (LIVE.isChanged) {
    const told = "A number of the run was changed: this one was computed on this page";
    const reasons = ", and its reasons were recorded for the run alone: the line that made it says what was compared";
    return element("p", { class: "comparison" }, told, arrayOf(cell).reasons ? reasons : null, ".");
  }
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
    return paragraph("Its terms are not in this page. Ask for them with ", code(againOf(cell)), ".");
  }
  const because = reasonsList(records.reasons, index);
  const { terms } = records;
  const entries = entriesOf(terms, index);
  if (!entries.length) return [because, paragraph("No term was added, so it is 0."), toldLine(cell)];
  return [numbersOf(cell, terms, entries), toldLine(cell), because, originOf(terms, entries)];
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
      mathBlock(mathSign("+"), mathElement("mo", "⋯"), mathElement("mtext", ` ${counted(left, "more term")}`)),
    );
  const total = numberInMath(cell, shown(NUMBERS.values[cell]));
  parts.push(mathBlock(mathSign("="), total));
  const title = "With this cell’s numbers";
  return element(
    "section",
    { class: "formula" },
    element("h3", {}, isLong ? `${title}, its largest terms first` : title),
    scrolling(element("div", { class: "numbers" }, mathBlock(named(cell), mathSign("=")), parts)),
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
  for (const bracket of made.querySelectorAll("mo")) bracket.setAttribute("stretchy", "false"); // names stand below
  const hasSign = pattern.text.startsWith("−");
  return isNext && !hasSign ? mathBlock(mathSign("+"), made) : mathBlock(made);
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
