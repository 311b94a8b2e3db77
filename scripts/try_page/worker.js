/* Python in a thread of its own, so that the page answers while it computes: loads Pyodide, NumPy and plaingrad, then
   answers what the page asks, one after the other. */

let answered = null;

async function file(name) {
  const got = await fetch(new URL(name, self.location.href));
  if (!got.ok) throw new Error(`${name} is not there (${got.status})`);
  return got;
}

async function load({ wheel }) {
  const here = new URL("./", self.location.href).href;
  const say = (stage) => self.postMessage({ stage });
  say("python");
  const { loadPyodide } = await import(`${here}pyodide/pyodide.mjs`);
  const [python, packed, asked, trained, program] = await Promise.all([
    loadPyodide({ indexURL: `${here}pyodide/`, packages: ["numpy"] }),
    file(wheel).then((got) => got.arrayBuffer()),
    ...["asked.py", "trained.json", "program.py"].map((name) => file(name).then((got) => got.text())),
  ]);
  say("plaingrad");
  python.unpackArchive(packed, "wheel");
  python.FS.writeFile("/home/pyodide/asked.py", asked);
  const module = python.pyimport("asked");
  module.begin("/home/pyodide/pasted", trained, program);
  answered = module.answered;
  say("ready");
}

const line = (error) => String(error.message ?? error).trim().split("\n").at(-1);

self.onmessage = async ({ data }) => {
  try {
    if (data.begin) await load(data.begin);
    else self.postMessage({ number: data.number, answer: JSON.parse(answered(JSON.stringify(data.asked))) });
  } catch (error) {
    self.postMessage({ failed: line(error) }); // what asked.py could not turn into a line: Python itself has ended
  }
};
