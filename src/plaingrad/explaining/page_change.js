// The derivative felt: a slider for one number, the true loss as it moves, and the straight line that was predicted.

const AIM = { cell: -1, from: 0, loss: 0, slope: 0, reach: 1, points: [] };
const CURVE = { width: 420, height: 190, left: 52, right: 14, top: 12, bottom: 30 };
const MOST_POINTS = 61;
const CURVE_TIME = 60; // milliseconds: a curve of a large network has fewer points

/** Keeps where a change began: the number, the loss, and the derivative there. */
function aimAt(cell) {
  if (AIM.cell === cell || !DATA.alive.loss) return;
  const from = NUMBERS.values[cell];
  const reach = Math.max(1, 2 ** Math.ceil(Math.log2(Math.abs(from) || 1)));
  Object.assign(AIM, { cell, from, loss: lossNow(), slope: NUMBERS.values[derivativeOf(cell)], reach, points: [] });
}

/** Something else was changed: the curve and the straight line begin anew where the number is now. */
function aimAnew() {
  AIM.cell = -1;
  byId("change").replaceChildren();
}

/** The true loss at points along the axis, as many as there is time for. */
function curvePoints() {
  const started = performance.now();
  lossAt(AIM.cell, AIM.from);
  const each = Math.max(0.05, performance.now() - started);
  const half = Math.max(4, Math.min((MOST_POINTS - 1) / 2, Math.floor(CURVE_TIME / each / 2)));
  return Array.from({ length: 2 * half + 1 }, (_, n) => {
    const x = AIM.from + (AIM.reach * (n - half)) / half;
    return [x, lossAt(AIM.cell, x)];
  });
}

/** The panel for the number that is explained: it, or the number whose derivative is explained. */
function showChange(cell) {
  const place = byId("change");
  const given = LIVE.net && cell !== null ? givenBehind(cell) : -1;
  place.hidden = given < 0 || !DATA.alive.loss;
  if (place.hidden) return;
  if (Number(place.dataset.cell) === given && place.childElementCount) return drawChange();
  place.dataset.cell = given;
  AIM.cell = -1;
  aimAt(given);
  const name = cellName(given);
  const slider = element("input", {
    type: "range",
    id: "change-slider",
    min: Math.floor((AIM.from - AIM.reach) * 10) / 10,
    max: Math.ceil((AIM.from + AIM.reach) * 10) / 10,
    step: AIM.reach / 100,
    oninput: (event) => changeCell(given, Number(event.target.value)),
  });
  const details = element("details", { open: LIVE.isOpen, ontoggle: () => keepOpen(details.open) });
  details.append(
    element("summary", {}, "Change ", code(name), " and watch the loss"),
    element(
      "div",
      { class: "felt" },
      element("label", { for: "change-slider", class: "unseen" }, name),
      slider,
      element("p", { id: "change-told" }),
    ),
    element("div", { id: "change-curve" }),
  );
  fill(place, details);
  later(drawChange);
}

function keepOpen(isOpen) {
  LIVE.isOpen = isOpen;
  drawChange();
}

/** The slider, the sentence and the curve for the numbers there are now. */
function drawChange() {
  const place = byId("change");
  if (place.hidden || !LIVE.isOpen || AIM.cell < 0 || Number(place.dataset.cell) !== AIM.cell) return;
  const now = NUMBERS.values[AIM.cell];
  const [loss, line] = [lossNow(), AIM.loss + AIM.slope * (now - AIM.from)];
  const slider = byId("change-slider");
  if (document.activeElement !== slider || Number(slider.value) !== now) slider.value = now;
  slider.setAttribute("aria-valuetext", `${shown(now, 4)}; loss ${shown(loss, 4)}`);
  const number = (kind, value) => element("b", { class: `number ${kind}`, title: String(value) }, shown(value, 4));
  fill(
    byId("change-told"),
    code(cellName(AIM.cell)),
    " = ",
    number("now", now),
    ". The true loss is ",
    number("true-loss", loss),
    "; the straight line with the slope ",
    number("slope", AIM.slope),
    ", the derivative where the change began, says ",
    number("guess", line),
    ".",
  );
  if (!AIM.points.length) AIM.points = curvePoints();
  fill(byId("change-curve"), curveOf(now, loss, line));
}

function curveOf(now, loss, line) {
  const { width, height, left, right, top, bottom } = CURVE;
  const losses = [...AIM.points.map(([, y]) => y), AIM.loss, loss].filter(Number.isFinite);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const room = (high - low || Math.abs(high) || 1) * 0.15;
  const across = (x) => left + ((x - AIM.from + AIM.reach) / (2 * AIM.reach)) * (width - left - right);
  const up = (y) => height - bottom - ((y - low + room) / (high - low + 2 * room)) * (height - top - bottom);
  const at = (x, y) => `${across(x).toFixed(1)} ${up(y).toFixed(1)}`;
  const points = AIM.points.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => at(x, y));
  const end = (side) => at(AIM.from + side * AIM.reach, AIM.loss + side * AIM.slope * AIM.reach);
  const floor = height - bottom;
  const frame = { x: left, y: top, width: width - left - right, height: floor - top };
  const tick = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": "The loss, and the straight line" },
    svg("clipPath", { id: "curve-room" }, svg("rect", frame)),
    svg("path", { class: "axis", d: `M${left} ${top}V${floor}H${width - right}` }),
    svg(
      "g",
      { "clip-path": "url(#curve-room)" },
      svg("path", { class: "truth", d: `M${points.join("L")}` }),
      svg("path", { class: "tangent", d: `M${end(-1)}L${end(1)}` }),
      svg("path", { class: "gap", d: `M${at(now, line)}L${at(now, loss)}` }),
      svg("circle", { class: "guess", cx: across(now), cy: up(line), r: 5 }),
      svg("circle", { class: "truth-now", cx: across(now), cy: up(loss), r: 5.5 }),
    ),
    [-1, 0, 1]
      .map((side) => AIM.from + side * AIM.reach)
      .map((x) => tick(across(x), height - 10, shown(x, 3), "middle")),
    [low, high].map((y) => tick(left - 6, up(y) + 4, shown(y, 3), "end")),
  );
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...present(children));
  return made;
}
