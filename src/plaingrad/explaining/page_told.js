// Records made on this page: once a number was changed, the recorded terms are of another run, and the texts tell anew.

const TOLD_LOOKS = { product: 0, copy: 1 };

/** The terms of the cells of an array from `start` on and before `stop`, as `readRecord` gives recorded ones. */
function toldRecord(array, start, stop) {
  const patterns = [DATA.patterns[TOLD_LOOKS.product], DATA.patterns[TOLD_LOOKS.copy]];
  const known = new Map();
  const found = LIVE.net.explainAll(start, stop);
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
    patterns.push({ text, math: ["mrow", ...parts.filter(([, part]) => part !== "")], kind: "other", arity: cells.length });
  }
  return known.get(text);
}

/** The line of the text that made a cell, with its letters filled in: that of its largest term. */
function toldLine(cell) {
  const found = LIVE.net?.explain(cell);
  if (!found?.terms.length) return null;
  const term = found.terms.reduce((most, next) => (Math.abs(next.value) > Math.abs(most.value) ? next : most));
  const source = DATA.layers.flatMap((layer) => layer.texts).find(({ name }) => name === found.name)?.source;
  if (!source) return null;
  const letters = Object.entries(term.letters)
    .filter(([name]) => !/^(place|axis)_\d+$/.test(name))
    .map(([name, value]) => `${name} = ${shown(value, 4)}`);
  const [before, after] = found.terms.length > 1 ? ["The line of the text that made its largest term: ", ""] : ["The line of the text that made it: ", ""];
  return element(
    "p",
    { class: "told-line" },
    before,
    code(source.split("\n")[term.line - 1].trim()),
    letters.length ? [" with ", code(letters.join(", "))] : null,
    term.because.length ? [". Compared there: ", [...new Set(term.because)].filter((each) => each < LIVE.net.own).map((each) => cellButton(each, "second"))] : null,
    after,
  );
}
