// The error's way: from the loss back to one number, stop by stop. At each stop stands the rule of the layer that the
// error went through, and the numbers of the largest term that it left there.

const WAY = { stops: [], step: 0, cell: null, asked: 0 };
const WAY_PAUSE = 2500; // milliseconds at a stop while it plays: as long as it takes to read a sentence

/** The cell whose derivative is meant: itself, or that of a value or a weight; −1 where none is held. */
function derivativeBehind(cell) {
  const array = arrayOf(cell);
  if (array.role === "error" || array.role === "gradient" || array.name === "loss.y") return cell;
  const dot = array.name.lastIndexOf(".") + 1;
  const name = dot ? `${array.name.slice(0, dot)}d${array.name.slice(dot)}` : DATA.layers[0].errors[0];
  const found = ARRAY_NAMED.get(name) ?? ARRAY_NAMED.get(otherName(name ?? ""));
  return found && found.size === array.size ? found.start + cell - array.start : -1;
}

/** The layer that made an error or a gradient: one hands its error back as the error of the layer before. */
function makerOf(array) {
  return DATA.layers.find((layer) => layer.dx === array.name) ?? layerOf(array);
}

function isError(cell) {
  return arrayOf(cell).role === "error";
}

/** Whether a number was made on the way back: by a normalisation the error goes through gradients and means too. */
function isOfTheWayBack(cell) {
  const { made_by: name } = arrayOf(cell);
  return DATA.layers.some(({ texts }) => texts.some((text) => text.name === name && text.way === "backward"));
}

/**
 * The stops from the loss to a cell, each {cell, terms, entries, entry}: `entry` is its largest term, which comes from
 * the stop before. Where no term came, because the error ended there, there is none, and the stop before is the error
 * that did not go on.
 */
async function wayTo(cell) {
  const stops = [];
  const loss = ARRAY_NAMED.get("loss.y");
  for (let next = cell; next >= 0 && next !== loss?.start && stops.length < ARRAYS.length;) {
    const array = arrayOf(next);
    const { terms } = isHeld(array, next - array.start) ? await recordsOf(array, next) : { terms: null };
    const entries = terms ? entriesOf(terms, next - array.start) : [];
    const entry = entries.length ? largestFirst(terms, entries)[0] : null;
    stops.unshift({ cell: next, terms, entries, entry });
    const refs = entry === null ? [] : [...refsOf(terms, entry)];
    const isEnd = makerOf(array).name === "loss" || !terms;
    const from = refs.find(isError) ?? refs.find(isOfTheWayBack);
    next = from ?? (isEnd ? -1 : await errorThatEnded(array, next));
  }
  if (loss) stops.unshift({ cell: loss.start, terms: null, entries: [], entry: null });
  return stops;
}

/** For a cell that no error reached: the error that ended there, as the comparisons name it, else the largest. */
async function errorThatEnded(array, cell) {
  const maker = makerOf(array);
  const sources = [`${maker.name}.dz`, maker.dy].map((name) => ARRAY_NAMED.get(name));
  const source = sources.find((each) => each && each !== array);
  if (!source) return -1;
  const told = LIVE.net?.explain(cell)?.terms.flatMap(({ because }) => because) ?? [];
  const reasons = array.reasons
    ? await (array.read.compared ??= readRecord(array.reasons, DATA.reason_patterns))
    : null;
  const entries = reasons ? [...entriesOf(reasons, cell - array.start)] : [];
  const named = [...entries.flatMap((entry) => [...refsOf(reasons, entry)]), ...told];
  const sameShape = (other) => other.shape.join() === source.shape.join();
  const compared = named.find((each) => each < ARRAYS.at(-1).start + ARRAYS.at(-1).size && sameShape(arrayOf(each)));
  if (compared !== undefined) return source.start + compared - arrayOf(compared).start;
  if (sameShape(array)) return source.start + cell - array.start;
  const sizes = Array.from({ length: source.size }, (_, n) => Math.abs(NUMBERS.values[source.start + n]));
  return source.start + sizes.indexOf(Math.max(...sizes));
}

/** Draws the way to the number that is explained; while numbers are changed, it stays at the stop where it was. */
async function drawWay(asked) {
  const root = byId("way");
  const turn = ++WAY.asked;
  const cell = asked === null ? -1 : derivativeBehind(asked);
  if (cell < 0) {
    hidePath();
    const name = asked === null ? "Nothing" : cellName(asked);
    fill(
      root,
      element("h2", {}, "The error’s way"),
      paragraph(`${name} has no derivative here: choose a weight, a gradient or an error.`),
    );
    return;
  }
  const stops = await wayTo(cell);
  if (turn !== WAY.asked || PAGE.tab !== "way") return;
  const step = WAY.cell === cell ? Math.min(WAY.step, stops.length - 1) : 0;
  Object.assign(WAY, { cell, stops });
  const last = stops.length - 1;
  const label = element("output", { class: "size" });
  const story = element("div", { class: "stop", "aria-live": "polite" });
  const list = element("ol", { class: "stops", "aria-label": "The stops" });
  const go = (to) => {
    WAY.step = Math.max(0, Math.min(last, to));
    label.textContent = `stop ${WAY.step + 1} of ${stops.length}`;
    fill(
      list,
      stops.map((stop, n) =>
        stopButton(stop, n, () => {
          stopPlaying();
          go(n);
        }),
      ),
    );
    fill(story, storyOf(stops, WAY.step));
    showStop(stops, WAY.step);
    const now = list.children[WAY.step];
    list.scrollLeft = now.offsetLeft - list.offsetLeft - (list.clientWidth - now.offsetWidth) / 2;
  };
  const moves = {
    first: () => go(0),
    back: () => go(WAY.step - 1),
    forward() {
      const isLeft = WAY.step < last;
      if (isLeft) go(WAY.step + 1);
      return isLeft;
    },
  };
  const stepper = new Stepper(moves, () => WAY_PAUSE);
  fill(
    root,
    element("h2", {}, "The error’s way to ", code(cellName(cell))),
    element("div", { class: "controls" }, stepper.buttons, label),
    list,
    story,
  );
  takeFocus("way");
  startPath(stops);
  go(step);
}

function stopButton({ cell }, n, onclick) {
  const button = element(
    "button",
    {
      type: "button",
      "aria-current": n === WAY.step ? "step" : null,
      class: n <= WAY.step ? "reached" : null,
      onclick,
    },
    code(cellName(cell)),
    numberOf(cell),
  );
  return element("li", {}, button);
}

/** What happens at a stop: the rule, the term that was followed, and what it adds up to. */
function storyOf(stops, step) {
  const { cell, terms, entries, entry } = stops[step];
  const array = arrayOf(cell);
  const maker = makerOf(array);
  const rule = maker.rules?.[ruleNamed(array, maker)] ?? maker.about;
  const isLoss = array.name === "loss.y";
  const story = [
    element(
      "p",
      { class: "rule" },
      element("b", {}, isLoss ? "loss" : maker.name),
      code(maker.text),
      isLoss ? maker.about : rule,
    ),
  ];
  if (isLoss)
    return [...story, paragraph(cellButton(cell, "picked"), " is where the way back begins."), toldLine(cell)];
  if (entry === null) {
    const [before] = step && stops[step - 1].terms ? [stops[step - 1].cell] : [];
    const ended = before === undefined ? "" : [" The error ", cellButton(before), " does not pass here."];
    const why = !array.made_by
      ? "is given."
      : terms
        ? "gets no term, so it is 0."
        : "is made of terms that this page does not hold.";
    return [...story, paragraph(cellButton(cell, "picked"), ` ${why}`, ended)];
  }
  story.push(
    element(
      "p",
      { class: "followed" },
      sentenceOf(terms.patterns[terms.kinds[entry]], refsOf(terms, entry)),
      " = ",
      sumNumber("product", terms.shares[entry]),
    ),
  );
  story.push(
    entries.length > 1
      ? collected(cell, terms, entries, entry)
      : paragraph("This is the only term: ", cellButton(cell, "picked"), "."),
  );
  return [...story, toldLine(cell)];
}

/** The name of a layer's rule: what it hands back is its dx, whatever the layer before calls it. */
function ruleNamed(array, maker) {
  return maker.dx === array.name ? "dx" : array.name.slice(array.name.lastIndexOf(".") + 1);
}

/** A sum of several terms, without those that are 0: all of them, or the largest ones first. */
function collected(cell, terms, entries, entry) {
  const some = [...entries].filter((each) => terms.shares[each] !== 0);
  const zeros = entries.length - some.length;
  const order = some.length > MOST_WRITTEN ? [...largestFirst(terms, Uint32Array.from(some))] : some;
  const written = order.slice(0, MOST_WRITTEN);
  const rest = order.slice(MOST_WRITTEN).reduce((sum, each) => sum + terms.shares[each], 0);
  const parts = written.map((each, n) => {
    const hasSign = terms.patterns[terms.kinds[each]].text.startsWith("−");
    return [n ? (hasSign ? " " : " + ") : null, filledTerm(terms, each, each === entry)];
  });
  const more = order.length - written.length;
  if (more)
    parts.push(
      " + ",
      element("small", {}, `${counted(more, "more term")}, together `),
      filled(rest, { "data-rest": rest }),
    );
  return [
    paragraph(
      `It is the largest of ${counted(entries.length, "term")}`,
      zeros ? `, of which ${grouped(zeros)} ${zeros === 1 ? "is" : "are"} 0` : null,
      "; all together make ",
      cellButton(cell, "picked"),
      ":",
    ),
    element(
      "div",
      { class: "arithmetic" },
      code(cellName(cell)),
      " = ",
      parts,
      " = ",
      filled(NUMBERS.values[cell], { "data-sum": NUMBERS.values[cell] }, true),
    ),
  ];
}
