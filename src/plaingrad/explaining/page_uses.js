// Where a number goes: the cells whose terms use it.

function usesPlace() {
  return element("section", { id: "uses", "aria-live": "off" });
}

/** Says what a number goes into. Every record is read, and texts are run: only while nothing else is done. */
async function fillUses(used) {
  const found = new Set();
  for await (const cells of usesOf(used)) {
    for (const cell of cells) found.add(cell);
    while (PAGE.tab !== "explanation" && SHOWN.cell === used) await new Promise((go) => setTimeout(go, 200));
    if (SHOWN.cell !== used) return;
  }
  const groups = ARRAYS.map((array) => {
    const cells = [...found].filter((cell) => arrayOf(cell) === array).sort((a, b) => a - b);
    return cells.length ? usesGroup(array, cells) : null;
  });
  const place = byId("uses");
  if (SHOWN.cell === used && place && found.size) {
    fill(place, element("h3", {}, "Goes into"), groups);
    oneStop(place, ".factor");
  }
}

/** The cells whose terms use one, a part at a time: as they are recorded, and where they are not, as the texts tell. */
async function* usesOf(used) {
  for (const array of ARRAYS) {
    await quiet();
    const terms = isTold(array) ? null : await recordOf(array, "terms");
    yield terms ? usesIn(array, terms, used).map(({ cell }) => cell) : [];
  }
  if (!LIVE.net) return;
  for (const cells of LIVE.net.usersOf(used)) {
    yield cells.filter((cell) => isTold(arrayOf(cell)));
    await quiet();
  }
}

function usesGroup(array, cells) {
  const more = cells.length > 6 ? ` and ${grouped(cells.length - 6)} more` : "";
  return element(
    "p",
    { class: "uses" },
    element("span", {}, `${counted(cells.length, "cell")} of `, code(array.name), ": "),
    cells.slice(0, 6).map((cell) => cellButton(cell)),
    more,
  );
}
