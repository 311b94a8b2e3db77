// A run that can be run again with other numbers. It knows no layer: it calls the texts, which Python wrote out, on one
// row of numbers. A view is {start, shape, strides}: the cell at place p is start + Σ p[axis] × strides[axis].

class LiveNetwork {
  /**
   * `texts` are pairs [text, text that tells]; `calls` say what to call in what order, on which views. Of all `size`
   * numbers `own` are the run's; of the rest those that are not 0 are in `more`.
   */
  constructor(texts, { calls, size, own, more }, numbers) {
    this.texts = texts;
    this.calls = calls;
    this.cells = new Float64Array(size);
    this.cells.set(numbers.subarray(0, own));
    for (const [cell, value] of more) this.cells[cell] = value;
    this.own = own;
    this.first = this.cells.slice();
  }

  run(way, rate = 0) {
    for (const [text, , given] of this.calls[way] ?? [])
      this.texts[text][0](this.cells, ...given.map((each) => (each === "rate" ? rate : each)));
  }

  forward() {
    this.run("forward");
  }

  /** Every value, the loss, and every derivative. */
  compute() {
    this.run("forward");
    this.run("backward");
  }

  /** One step of gradient descent, and all numbers of the network after it. */
  step(rate) {
    this.run("update", rate);
    this.compute();
  }

  /** The run as it was, to the last bit. */
  reset() {
    this.cells.set(this.first);
  }

  /**
   * What made a cell, told by the text that fills it while it runs on a copy of all numbers: {layer, name, terms}, each
   * term {line, sign, value, cells, look, because, letters}; null for a number that was given. The terms, added in
   * order, are the number; where there are none, `bare` {line, because, letters} is the line that left it so.
   */
  explain(cell) {
    return this.explainAll(cell, cell + 1).get(cell) ?? null;
  }

  /** What made each cell from `start` on and before `stop`: a map of what `explain` gives. */
  explainAll(start, stop) {
    const found = new Map();
    for (const way of ["forward", "backward"])
      for (const [text, layer, given, fills] of this.calls[way] ?? []) {
        if (!fills.some((place) => meets(given[place], start, stop))) continue;
        const numbers = this.cells.slice();
        const told = new Told(start, stop, this.own, numbers);
        this.texts[text][1](numbers, ...given, told);
        const { name } = this.texts[text][0];
        for (const [cell, terms] of told.terms) found.set(cell, { layer, name, terms, bare: told.bare.get(cell) });
      }
    return found;
  }

  /** The same texts on a corner of each array, which takes them no time: to be compiled by the browser. */
  corner() {
    const smaller = (each) => (each.shape ? { ...each, shape: each.shape.map((size) => Math.min(size, 4)) } : each);
    const calls = Object.entries(this.calls).map(([way, list]) => [
      way,
      list.map(([text, layer, given, fills]) => [text, layer, given.map(smaller), fills]),
    ]);
    const { size, own } = { size: this.cells.length, own: this.own };
    return new LiveNetwork(this.texts, { calls: Object.fromEntries(calls), size, own, more: [] }, this.cells);
  }

  /** The cells that have a cell in a term, as the texts tell that are given it: a list for each call of one. */
  *usersOf(used) {
    for (const way of ["forward", "backward"])
      for (const [text, , given, fills] of this.calls[way] ?? []) {
        const reads = (each, place) => each.shape && !fills.includes(place) && meets(each, used, used + 1);
        if (!given.some(reads)) continue;
        const numbers = this.cells.slice();
        const users = new Users(used);
        this.texts[text][1](numbers, ...given, users);
        yield [...users.found].filter((cell) => cell < this.own);
      }
  }
}

/** Collects what a text tells of all cells: those that have the used one in a term. */
class Users {
  constructor(used) {
    Object.assign(this, { used, found: new Set(), cell: -1 });
  }

  wants(cell) {
    this.cell = cell;
    return true;
  }

  tell(line, sign, terms) {
    if (sign === "=") this.found.delete(this.cell);
    if (terms.some(([, cells]) => cells.includes(this.used))) this.found.add(this.cell);
  }
}

/**
 * Collects what a text tells of cells: an assignment begins anew, and what is added is a term more. Of the cells in a
 * term only the run's own are named; a term of none but others that is 0 is the bias of a layer without biases.
 */
class Told {
  constructor(start, stop, own, numbers) {
    Object.assign(this, { start, stop, own, numbers, terms: new Map(), bare: new Map(), cell: -1 });
  }

  wants(cell) {
    this.cell = cell;
    return cell >= this.start && cell < this.stop;
  }

  tell(line, sign, terms, because, letters) {
    let list = this.terms.get(this.cell);
    if (!list) this.terms.set(this.cell, (list = []));
    if (sign === "=") list.length = 0;
    for (const [value, every, look = null] of terms) {
      const cells = every.filter((cell) => cell < this.own);
      if (value === 0 && every.length && !cells.length) continue;
      const own = { cells, look: look && this.named(look, every, letters), because, letters };
      list.push({ line, sign, value: sign === "-=" ? -value : value, ...own });
    }
    if (!list.length) this.bare.set(this.cell, { line, because, letters });
  }

  /** A look with the run's own cells numbered from 0, and numbers in place of other cells and of names. */
  named(look, every, letters) {
    const names = look.replace(/[A-Za-z_][\w.]*(\[\d+\])?/g, (name) => letters[name] ?? name);
    return names.replace(/\{(\d+)\}/g, (_, place) => {
      if (every[place] >= this.own) return this.numbers[every[place]];
      return `{${every.slice(0, place).filter((cell) => cell < this.own).length}}`;
    });
  }
}

/** The standard normal density. */
function normalPdf(x) {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** How much of the standard normal distribution lies below: a sum of terms of one sign, a continued fraction far out. */
function normalCdf(x) {
  if (x < -2) {
    let below = -x;
    for (let n = 100; n > 0; n--) below = -x + n / below;
    return normalPdf(x) / below;
  }
  if (!(x < 9)) return x >= 9 ? 1 : NaN;
  let [term, sum] = [x, x];
  for (let odd = 3; Math.abs(term) > Math.abs(sum) * 1e-17; odd += 2) sum += term *= (x * x) / odd;
  return 0.5 + normalPdf(x) * sum;
}

/** Whether a view may hold a cell of this span. */
function meets({ start: first, shape, strides }, start, stop) {
  const last = first + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis], 0);
  return first < stop && last >= start;
}
