// By keyboard: a group of things is one stop of the Tab key, and keys of their own walk inside it.

const WALKS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Makes what matches in `root` one stop; the arrow keys go from one to the next. `first` is where Tab comes to. */
function oneStop(root, selector, first = null) {
  const all = () => [...root.querySelectorAll(selector)];
  const settle = (chosen) => {
    for (const each of all()) each.setAttribute("tabindex", each === chosen ? "0" : "-1");
  };
  settle(first ?? all()[0]);
  if (root.dataset.walked) return;
  root.dataset.walked = "1";
  root.addEventListener("focusin", ({ target }) => {
    if (target.matches(selector)) settle(target);
  });
  root.addEventListener("keydown", (event) => {
    const list = all();
    const place = list.indexOf(document.activeElement);
    const step = WALKS[event.key] ?? 0;
    if (place < 0 || !step) return;
    event.preventDefault();
    list[Math.max(0, Math.min(list.length - 1, place + step))].focus();
  });
}

/** The maps of the network are one stop, where it was left; Page Down and Page Up go from array to array. */
function mapsAsOneStop() {
  const list = mapsShown();
  const isFocused = (each) => each === document.activeElement;
  const kept = list.find(isFocused) ?? list.find((each) => each.dataset.array === PAGE.map) ?? list[0];
  for (const each of list) each.tabIndex = each === kept ? 0 : -1;
}

function mapsShown() {
  return [...byId("layers").querySelectorAll("canvas[data-array]")];
}

function toNextMap(view, step) {
  const list = mapsShown();
  const next = list[list.indexOf(view.cells) + step];
  if (!next) return;
  PAGE.map = next.dataset.array;
  next.focus();
  mapsAsOneStop();
}

/** The number that a term leads on to: the error in it, or else what was made of others; it is what Enter opens. */
function onwardOf(terms, entries) {
  const entry = [...entries].find((each) => terms.shares[each]) ?? entries[0];
  const ranks = { error: 0, other: 1, value: 2 };
  const rank = (cell) => {
    const { role, made_by: isMade } = arrayOf(cell);
    const isEnd = !isMade && role !== "other"; // what the loss was given still belongs to it
    return (isEnd ? 4 : (ranks[role] ?? 3)) + (isMade ? 0 : 0.6) + (NUMBERS.values[cell] ? 0 : 0.5);
  };
  const [cell] = [...refsOf(terms, entry)].sort((a, b) => rank(a) - rank(b));
  return { entry, cell };
}

/** After a key has opened a number, the way on has the focus. */
function focusOnward() {
  const root = byId("explanation");
  (root.querySelector("[data-onward]") ?? root.querySelector("h2"))?.focus({ preventScroll: true });
}
