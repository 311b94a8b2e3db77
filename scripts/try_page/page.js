/* The page "Try it": shows what Python in the worker answers. Text stays text: nothing of it becomes markup, except the
   page that plaingrad itself writes, in a frame that may do nothing but run its own script. */

const byId = (id) => document.getElementById(id);
const SIZES = document.body.dataset;
const STAGES = [
  ["begin", "Beginning"],
  ["python", `Loading Python and NumPy, ${SIZES.python} MB`],
  ["plaingrad", `Loading plaingrad, ${SIZES.plaingrad} MB`],
  ["ready", "Ready"],
];
const WAITED = 0.15; // seconds after which one asks oneself whether anything goes on

let worker = null;
let stage = "begin";
let began = 0; // of what the clock counts
let waiting = null; // the question that Python has not answered
let count = 0;
let ready = null; // kept with the call that resolves it

/** Starts Python anew; what was asked before is given up. */
function start() {
  worker?.terminate();
  waiting?.give(null);
  waiting = null;
  enable(true);
  byId("stop").hidden = true;
  let arrived;
  ready = { promise: new Promise((done) => { arrived = done; }), arrived };
  begin("begin");
  if (location.protocol === "file:") {
    fail("A browser runs this page only from a server: python -m http.server, in the site's folder");
    return;
  }
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`Python could not be started: ${event.message || "this browser lacks module workers"}`);
  };
  worker.postMessage({ begin: { wheel: SIZES.wheel } });
}

function hear(data) {
  if (data.stage) begin(data.stage);
  else if (data.failed !== undefined) failed(data.failed);
  else if (waiting?.number === data.number) {
    const { give } = waiting;
    waiting = null;
    rest(`Ready. That took ${seconds()}.`);
    give(data.answer);
  }
}

/** Python has ended: at once one line; after a question it is started again. */
function failed(line) {
  if (stage !== "ready") {
    fail(`Python could not be started: ${line}`);
    return;
  }
  const { give } = waiting ?? { give: () => {} };
  waiting = null;
  give({ error: `Python ended (${line}) and is started again: what was pasted is too large or too deep` });
  start();
}

// What is shown of its state

function begin(name) {
  stage = name;
  byId("state").dataset.stage = name;
  const place = STAGES.findIndex(([each]) => each === name);
  if (name === "begin") began = performance.now();
  byId("progress").value = place;
  if (name === "ready") {
    rest(`Ready after ${seconds()}.`);
    ready.arrived();
  } else say(`${STAGES[place][1]} (${Math.max(place, 1)} of 2)`);
}

function fail(line) {
  stage = "failed";
  byId("state").dataset.stage = "failed";
  byId("clock").textContent = "";
  byId("stop").hidden = true;
  enable(true);
  say(line);
  waiting?.give({ error: line });
  waiting = null;
}

function rest(line) {
  byId("clock").textContent = "";
  byId("stop").hidden = true;
  enable(true);
  say(line);
}

/** Buttons that would ask stay where the keyboard is, and do nothing while Python is at work. */
function enable(yes) {
  for (const each of document.querySelectorAll("main button:not(#stop, #close)")) {
    if (yes) each.removeAttribute("aria-disabled");
    else each.setAttribute("aria-disabled", "true");
  }
}

function say(line) {
  byId("stage").textContent = line;
}

function seconds() {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

setInterval(() => {
  const isBusy = waiting !== null || !["ready", "failed"].includes(stage);
  if (isBusy && performance.now() - began > 1000 * WAITED) byId("clock").textContent = seconds();
}, 100);

// Asking

const ERRORS = ["explain-error", "check-error"];

/** Asks Python, and gives its answer; null where it was stopped, or is busy. Errors are shown in the place of that name. */
async function ask(where, said, asked) {
  if (waiting) return null;
  for (const each of ERRORS) byId(each).textContent = "";
  if (stage === "failed") start();
  if (stage === "failed") return null;
  let give;
  const answer = new Promise((done) => { give = done; });
  const number = ++count;
  const mine = { number, give };
  waiting = mine;
  enable(false);
  await ready.promise;
  if (waiting !== mine) return null;
  began = performance.now();
  say(said);
  byId("stop").hidden = false;
  worker.postMessage({ number, asked });
  const told = await answer;
  if (told?.error) byId(where).textContent = told.error;
  return told?.error ? null : told;
}

byId("stop").onclick = start;

const network = () => ({
  example: byId("example").value,
  network: byId("example").value ? "" : byId("network").value,
});

// Explaining

async function explain(quantity) {
  const told = await ask("explain-error", `Explaining ${quantity || "a gradient"}`, {
    what: "explain", ...network(), quantity,
  });
  if (!told) return;
  byId("quantity").value = told.quantity;
  const place = byId("explanation");
  place.hidden = false;
  place.querySelector("pre").textContent = told.text;
  place.querySelector(".onward").replaceChildren(...told.next.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.onclick = () => onward(name);
    return button;
  }));
  place.querySelector("tbody").replaceChildren(...told.arrays.map(({ name, shape, about }) => {
    const row = document.createElement("tr");
    for (const text of [name, shape.length ? shape.join(" × ") : "one number", about]) {
      row.append(Object.assign(document.createElement("td"), { textContent: text }));
    }
    return row;
  }));
  byId("quantities").replaceChildren(...told.arrays.map(({ name, shape }) =>
    Object.assign(document.createElement("option"), { value: shape.length ? `${name}[${shape.map(() => 0)}]` : name })));
}

/** A number that was chosen among the next: the keyboard goes on from its explanation. */
async function onward(name) {
  await explain(name);
  byId("explanation").querySelector("pre").focus();
}

async function openPage() {
  const told = await ask("explain-error", "Writing the page", {
    what: "page", ...network(), quantity: byId("quantity").value,
  });
  if (!told) return;
  closePage();
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = told.title;
  frame.srcdoc = byId("theme").checked ? told.html.replace('id="theme"', 'id="theme" checked') : told.html;
  byId("save-page").href = URL.createObjectURL(new Blob([told.html], { type: "text/html" }));
  byId("whole").append(frame);
  byId("whole").hidden = false;
  frame.scrollIntoView({ block: "nearest" });
}

function closePage() {
  byId("whole").querySelector("iframe")?.remove();
  byId("whole").hidden = true;
  if (byId("save-page").href) URL.revokeObjectURL(byId("save-page").href);
  byId("save-page").removeAttribute("href");
}

byId("explain").onsubmit = (event) => {
  event.preventDefault();
  explain(byId("quantity").value);
};
byId("page").onclick = openPage;
byId("close").onclick = () => {
  closePage();
  byId("page").focus();
};
byId("example").onchange = () => {
  const chosen = byId("example").selectedOptions[0];
  byId("own").hidden = chosen.value !== "";
  byId("quantity").value = chosen.dataset.opens;
};

// Checking

const theCase = () => ({ kind: byId("kind").value, ...network(), text: byId("case").value });

async function check() {
  byId("verdict").hidden = true;
  const told = await ask("check-error", "Checking the answer", { what: "verdict", ...theCase(), answer: byId("answer").value });
  if (!told) return;
  byId("verdict").hidden = false;
  byId("verdict").querySelector(".band").className = `band ${told.verdict}`;
  byId("verdict").querySelector(".band").textContent = told.headline;
  byId("verdict").querySelector("pre").textContent = told.text;
}

async function saveCase() {
  const told = await ask("check-error", "Writing the case", { what: "case", ...theCase() });
  if (!told) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([told.text], { type: "application/json" }));
  link.download = "case.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function fillIn() {
  const { old = "", renewed = "" } = byId("sample").selectedOptions[0].dataset;
  const told = await ask("check-error", "Running the program", {
    what: "sample", old, new: renewed, ...theCase(),
  });
  if (told) byId("answer").value = told.text;
}

byId("check").onsubmit = (event) => {
  event.preventDefault();
  check();
};
byId("save-case").onclick = saveCase;
byId("fill").onclick = fillIn;
byId("kind").onchange = () => {
  byId("own-case").hidden = byId("kind").value !== "pasted";
};
byId("file").onchange = async () => {
  const [file] = byId("file").files;
  if (file) byId("answer").value = await file.text();
};

start();
explain(byId("quantity").value);
