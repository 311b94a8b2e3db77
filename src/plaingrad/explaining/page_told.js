// Records made on this page: once a number was changed, the recorded terms are of another run, and the texts tell anew.

const TOLD_LOOKS = { product: 0, copy: 1 };

const TOLD = { start: -1, stop: -1, found: null }; // what was told last: a number's terms and its line are one telling

/** What made the cells from `start` on and before `stop`, by cell. */
function tellingOf(start, stop) {
  if (TOLD.start !== start || TOLD.stop !== stop)
    Object.assign(TOLD, { start, stop, found: LIVE.net.explainAll(start, stop) });
  return TOLD.found;
}

function forgetTelling() {
  TOLD.start = TOLD.stop = -1;
}

/** The terms of the cells of an array from `start` on and before `stop`, as `readRecord` gives recorded ones. */
function toldRecord(array, start, stop) {
  const patterns = [DATA.patterns[TOLD_LOOKS.product], DATA.patterns[TOLD_LOOKS.copy]];
  const known = new Map();
  const found = tellingOf(start, stop);
  const record = { patterns, kinds: [], places: [0], refs: [], shares: [] };
  const firsts = new Uint32Array(array.size + 1);
  for (let cell = array.start; cell < array.start + array.size; cell++) {
    for (const term of found.get(cell)?.terms ?? []) {
      record.kinds.push(lookOf(term, patterns, known));
      record.refs.push(...term.cells);
      record.places.push(record.refs.length);
      record.shares.push(term.value);
    }
    firsts[cell - array.start + 1] = record.kinds.length;
  }
  const whole = { kinds: Uint16Array, places: Uint32Array, refs: Int32Array, shares: Float64Array };
  for (const [name, Kind] of Object.entries(whole)) record[name] = Kind.from(record[name]);
  return { ...record, firsts };
}

/** The number of a term's look among the patterns: a product of two, a cell, or the words of the text. */
function lookOf({ cells, look, sign }, patterns, known) {
  const isPlain = !look && sign !== "-=";
  if (isPlain && cells.length) return cells.length === 2 ? TOLD_LOOKS.product : TOLD_LOOKS.copy;
  const plain = cells.length === 2 ? "{0} × {1}" : "{0}";
  const text = (sign === "-=" ? "−" : "") + (look ?? plain);
  if (!known.has(text)) {
    known.set(text, patterns.length);
    const parts = text.split(/\{(\d+)\}/).map((part, n) => (n % 2 ? ["slot", Number(part)] : ["mtext", part]));
    const math = ["mrow", ...parts.filter(([, part]) => part !== "")];
    patterns.push({ text, math, kind: "other", arity: cells.length });
  }
  return known.get(text);
}

/** The line of the text that made a cell, with its letters filled in: that of its largest term, if it has terms. */
function toldLine(cell) {
  const found = LIVE.net && tellingOf(cell, cell + 1).get(cell);
  const larger = (most, next) => (most && Math.abs(next.value) <= Math.abs(most.value) ? most : next);
  const term = found?.terms.reduce(larger, null) ?? found?.bare;
  if (!term) return null;
  const source = DATA.layers.flatMap((layer) => layer.texts).find(({ name }) => name === found.name)?.source;
  if (!source) return null;
  const letters = Object.entries(term.letters)
    .filter(([name]) => !/^(place|axis)_\d+$/.test(name))
    .map(([name, value]) => `${name} = ${shown(value, 4)}`);
  const isOther = (each) => each < LIVE.net.own && arrayOf(each).made_by !== found.name; // its own change as it goes
  const compared = [...new Set(term.because)].filter(isOther);
  return element(
    "p",
    { class: "told-line" },
    `The line of the text that made ${found.terms.length > 1 ? "its largest term" : "it"}: `,
    code(source.split("\n")[term.line - 1].trim()),
    letters.length ? [" with ", code(letters.join(", "))] : null,
    compared.length ? [". Compared there: ", compared.map((each) => cellButton(each, "second"))] : null,
  );
}
