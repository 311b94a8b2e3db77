// The table of a number's terms: in the loops' order or by size, with the sum as it grows, page by page.

const FIRST_ROWS = 12;
const PAGE_ROWS = 100;

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
    const more = `${grouped(order.length - last)} more, summing to `;
    return element("p", { class: "pager" }, more, sumNumber("rest", rest), quietButton("all", go(0, PAGE_ROWS)));
  }
  return element(
    "p",
    { class: "pager" },
    quietButton("before", go(state.first - PAGE_ROWS, PAGE_ROWS), { disabled: !state.first }),
    `${state.first + 1} – ${last} of ${grouped(order.length)}`,
    quietButton("next", go(state.first + PAGE_ROWS, PAGE_ROWS), { disabled: last === order.length }),
    quietButton("fewer", go(0, FIRST_ROWS)),
  );
}
