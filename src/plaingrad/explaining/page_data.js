// The recorded numbers: cells by name and by number, and the terms each was made of. Nothing here knows any layer.

const DATA = JSON.parse(document.getElementById("data").textContent);
const ARRAYS = Object.entries(DATA.arrays)
  .map(([name, array]) => ({ ...array, name, read: {}, size: array.shape.reduce((a, b) => a * b, 1) }))
  .sort((a, b) => a.start - b.start);
const ARRAY_NAMED = new Map(ARRAYS.map((array) => [array.name, array]));
const LAYER_NAMED = new Map(DATA.layers.map((layer) => [layer.name, layer]));
const NUMBERS = { values: null, run: null, bounds: null };

async function unpacked(blob, Kind) {
  const letters = atob(blob);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Kind(await new Response(stream).arrayBuffer());
}

async function loadNumbers() {
  const kinds = { values: Float64Array, run: DATA.run_digits === 64 ? Float64Array : Float32Array, bounds: Float32Array };
  const known = Object.entries(kinds).filter(([name]) => DATA[name]);
  const loaded = known.map(async ([name, Kind]) => (NUMBERS[name] = await unpacked(DATA[name], Kind)));
  await Promise.all(loaded);
}

/** Whether the texts tell what an array was made of: where it has too many terms to be recorded, or a number was changed. */
function isTold(array) {
  return LIVE.isChanged || array.terms === "told";
}

/** What is recorded of an array, or null where the page holds none: unpacked on first use, and kept. */
function recordOf(array, kind) {
  if (isTold(array)) {
    if (kind !== "terms" || !array.terms) return null;
    return (array.read.terms ??= toldRecord(array, array.start, array.start + array.size));
  }
  const patterns = kind === "reasons" ? DATA.reason_patterns : DATA.patterns;
  if (array[kind]) array.read[kind] ??= readRecord(array[kind], patterns);
  return array.read[kind] ?? null;
}

/** The terms of an array, and the reasons; where the texts tell them, those of one cell alone if that will do. */
async function recordsOf(array, cell = null) {
  if (isTold(array) && cell !== null && !array.read.terms)
    return { terms: array.terms ? toldRecord(array, cell, cell + 1) : null, reasons: null };
  const [terms, reasons] = await Promise.all(["terms", "reasons"].map((kind) => recordOf(array, kind)));
  return { terms, reasons };
}

/** Whether the page holds the terms of a cell; of a large network it holds some. */
function isHeld(array, index) {
  return Boolean(array.terms) && (!array.held || array.held.includes(index));
}

/** Entries of cell m are firsts[m] … firsts[m + 1], cells of entry e are refs[places[e]] … refs[places[e + 1]]. */
async function readRecord(record, patterns) {
  const [counts, kinds, refs, products] = await Promise.all([
    unpacked(record.counts, Uint32Array),
    unpacked(record.patterns, Uint16Array),
    unpacked(record.refs, Int32Array),
    record.products ? unpacked(record.products, Float64Array) : new Float64Array(0),
  ]);
  for (let i = 2; i < refs.length; i++) refs[i] += refs[i - 2];
  const firsts = new Uint32Array(counts.length + 1);
  counts.forEach((count, m) => (firsts[m + 1] = firsts[m] + count));
  const places = new Uint32Array(kinds.length + 1);
  kinds.forEach((kind, e) => (places[e + 1] = places[e] + patterns[kind].arity));
  const read = { patterns, firsts, kinds, places, refs };
  if (patterns === DATA.patterns) read.shares = sharesOf(read, products);
  return read;
}

/** The value of every term: recorded, or the product of its cells. */
function sharesOf({ patterns, kinds, places, refs }, products) {
  const shares = new Float64Array(kinds.length);
  const given = patterns.map((pattern) => pattern.kind === "other");
  for (let e = 0, next = 0; e < shares.length; e++) {
    if (given[kinds[e]]) {
      shares[e] = products[next++];
    } else {
      shares[e] = NUMBERS.values[refs[places[e]]];
      for (let r = places[e] + 1; r < places[e + 1]; r++) shares[e] *= NUMBERS.values[refs[r]];
    }
  }
  return shares;
}

function refsOf(record, entry) {
  return record.refs.subarray(record.places[entry], record.places[entry + 1]);
}

/** The numbers of the entries that belong to a cell of this array. */
function entriesOf(record, index) {
  const [first, last] = [record.firsts[index], record.firsts[index + 1]];
  return Uint32Array.from({ length: last - first }, (_, n) => first + n);
}

/** The last place in a rising list that is not above `number`. Of firsts it is the one whose span holds it. */
function lastNotAbove(list, number, key = (item) => item) {
  let [low, high] = [0, list.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (key(list[middle]) <= number) low = middle;
    else high = middle;
  }
  return low;
}

/** Which terms of an array use a cell: [{cell, entry}]. A walk over all of them takes a millisecond or two. */
function usesIn(array, record, used) {
  const uses = [];
  for (let r = record.refs.indexOf(used); r >= 0; r = record.refs.indexOf(used, r + 1)) {
    const entry = lastNotAbove(record.places, r);
    uses.push({ cell: array.start + lastNotAbove(record.firsts, entry), entry });
  }
  return uses;
}

function arrayOf(cell) {
  return ARRAYS[lastNotAbove(ARRAYS, cell, (array) => array.start)];
}

function cellName(cell) {
  const array = arrayOf(cell);
  if (!array.shape.length) return array.name;
  return `${array.name}[${placeIn(array, cell - array.start).join(",")}]`;
}

function placeIn(array, index) {
  const place = [];
  for (const size of array.shape.toReversed()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}

function layerOf(array) {
  const lists = ["values", "errors", "weights", "gradients", "others"];
  const own = LAYER_NAMED.get(array.name.slice(0, array.name.lastIndexOf(".")));
  return own ?? DATA.layers.find((layer) => lists.some((list) => layer[list].includes(array.name)));
}

/** The cell of a name such as conv1.dw[0,0,1,2], or {problem: a sentence}. The first cell where no place is given. */
function findCell(name) {
  const [, wanted, inside] = /^(.*?)(?:\[([^[\]]*)\])?$/s.exec(name.trim());
  const array = ARRAY_NAMED.get(wanted) ?? ARRAY_NAMED.get(otherName(wanted));
  if (!array) return { problem: `There is no “${wanted}” here. The nearest name is “${nearestName(wanted)}”.` };
  if (inside === undefined || !inside.trim()) return { array, cell: array.start };
  const place = inside.split(",").map((part) => (part.trim() ? Number(part) : NaN));
  const fits =
    place.length === array.shape.length && place.every((p, axis) => p >= 0 && p < array.shape[axis] && p % 1 === 0);
  if (fits) return { array, cell: array.start + place.reduce((sum, p, axis) => sum * array.shape[axis] + p, 0) };
  const last = array.shape.map((size) => size - 1).join(",");
  return { problem: `“${array.name}” has no cell [${inside}]. Its last one is ${array.name}[${last}].`, array };
}

/** What goes into a layer is what came out of the one before, and is held once: maxpool1.x is conv1.y. */
function otherName(name) {
  const dot = name.lastIndexOf(".");
  return LAYER_NAMED.get(name.slice(0, dot))?.[name.slice(dot + 1)];
}

function nearestName(name) {
  const distances = ARRAYS.map((array) => [editDistance(name.slice(0, 60), array.name), array.name]);
  return distances.reduce((best, next) => (next[0] < best[0] ? next : best))[1];
}

function editDistance(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (letter === to[j] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1);
}
