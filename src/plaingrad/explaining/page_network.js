// A run that can be run again with other numbers. It knows no layer: it calls the texts, which Python wrote out, on
// one row of numbers. A view is {start, shape, strides}, and the cell at place p of it is start + Σ p[axis] × strides[axis].

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
   * What made a cell, told by the text that fills it while it runs on a copy of all numbers: {layer, text, terms}, each
   * term {line, sign, value, cells, because, letters}; null for a number that was given. The terms, added in order, are
   * the number.
   */
  explain(cell, ways = ["forward", "backward"]) {
    let found = null;
    for (const way of ways)
      for (const [text, layer, given, fills] of this.calls[way] ?? []) {
        if (!fills.some((place) => isWithin(given[place], cell))) continue;
        const told = new Told(cell, this.own);
        this.texts[text][1](this.cells.slice(), ...given, told);
        if (told.count) found = { layer, text, name: this.texts[text][0].name, terms: told.terms };
      }
    return found;
  }
}

/**
 * Collects what a text tells of one cell: an assignment begins anew, and what is added is a term more. Of the cells in a
 * term only the run's own are named; a term of none but others that is 0 is the bias of a layer without biases.
 */
class Told {
  constructor(cell, own) {
    Object.assign(this, { cell, own, terms: [], count: 0 });
  }

  tell(line, sign, terms, because, letters) {
    this.count++;
    if (sign === "=") this.terms = [];
    for (const [value, every] of terms) {
      const cells = every.filter((cell) => cell < this.own);
      if (value === 0 && every.length && !cells.length) continue;
      this.terms.push({ line, sign, value: sign === "-=" ? -value : value, cells, because, letters });
    }
  }
}

/** Whether a cell may lie in a view: between its first and its last. */
function isWithin({ start, shape, strides }, cell) {
  return cell >= start && cell <= start + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis], 0);
}

/** Numbers from base64 of float64. */
function numbersFrom(base64) {
  return new Float64Array(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
}
