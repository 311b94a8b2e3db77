// Formulas: the textbook's short form, and the loops' form with bounds; every letter says what it stands for.

/** The formula as a textbook has it; below, folded, as the loops have it, with their bounds and the arrays' names. */
function formulaOf(array) {
  const { formula } = array;
  if (!formula) return null;
  const letters = lettersOf(array);
  const resting = "Point at a letter, or tap it, to read what it stands for.";
  const meaning = element("p", { class: "meaning" }, resting);
  const meanings = new Map([...Object.entries(DATA.glossary), ...Object.entries(formula.letters ?? {})]);
  for (const [name, letter] of letters)
    if (letter.length < 3) meanings.set(letter, `${ARRAY_NAMED.get(name)?.about ?? name} It is ${name} here.`);
  meanings.set("∂", "∂L/∂x is the derivative of the loss L with respect to x: how fast L grows with it");
  meanings.set("L", `the loss, loss.y here`);
  const dress = (made, letter) => {
    const text = meanings.get(letter) ?? ARRAY_NAMED.get(letter)?.about;
    if (!text) return made;
    const tell = () => fill(meaning, element("b", {}, letter), ` – ${text}`);
    made.setAttribute("class", "letter");
    made.setAttribute("aria-label", `${letter}: ${text}`);
    for (const event of ["pointerenter", "focus", "click"]) made.addEventListener(event, tell);
    return made;
  };
  const mathOfTree = (tree) =>
    piecesOf(tree).map((piece) => {
      const parts = piece.map((part) => mathOf(part, { leaf: dress }));
      for (const part of [parts[0], parts.at(-1)]) if (part.tagName === "mo") part.setAttribute("form", "infix");
      return mathBlock(...parts);
    });
  const made = element(
    "section",
    { class: "formula" },
    element("div", { class: "heading" }, element("h3", {}, "The formula"), meaning),
    element(
      "div",
      { class: "both" },
      scrolling(element("div", { class: "pieces textbook" }, mathOfTree(textbook(formula.math, letters)))),
      element(
        "details",
        { class: "loops" },
        element("summary", {}, "As the loops compute it, with bounds"),
        scrolling(element("div", { class: "pieces" }, mathOfTree(formula.math))),
      ),
    ),
  );
  oneStop(made, ".letter");
  return made;
}

/** What is wider than its place scrolls, and says so. */
function scrolling(made) {
  const tell = () => made.classList.toggle("wider", made.scrollWidth > made.clientWidth + 1);
  new ResizeObserver(tell).observe(made);
  return made;
}

/** The textbook's letters for the arrays of the layer that makes this one: x, y, w, and ∂L/∂… for gradients. */
function lettersOf(array) {
  const layer = DATA.layers.find((each) => each.dx === array.name) ?? layerOf(array);
  const letters = new Map();
  const names = layer.name === "loss" ? { target: "t", probability: "p", log_probability: "ln p", y: "L" } : {};
  for (const { name } of ARRAYS)
    if (name.startsWith(`${layer.name}.`)) {
      const quantity = name.slice(layer.name.length + 1);
      letters.set(name, names[quantity] ?? quantity);
    }
  for (const key of ["x", "y", "dx", "dy"]) if (layer[key]) letters.set(layer[key], key);
  if (layer.name === "loss") for (const [key, letter] of Object.entries(names)) letters.set(`loss.${key}`, letter);
  return letters;
}

/** A tree with the textbook's letters, sums without their bounds, and no index of an axis that has one place. */
function textbook(tree, letters) {
  if (!Array.isArray(tree)) return tree;
  const [tag, ...parts] = tree;
  const isNamed = (each) => Array.isArray(each) && each[0] === "mtext" && letters.has(each[1]);
  if (tag === "msub" && isNamed(parts[0])) return withLetter(parts[0][1], indexOf(parts[1]), letters);
  if (isNamed(tree)) return withLetter(parts[0], [], letters);
  if (tag === "munderover" && Array.isArray(parts[1])) {
    const isLetter = (each, n) => n && (typeof each === "string" || each[0] === "mi");
    const below = parts[1].find(isLetter);
    if (below) return ["munder", textbook(parts[0], letters), below];
  }
  return [tag, ...parts.map((part) => textbook(part, letters))];
}

/** The indices of a cell, from ["mrow", i, ["mo", ","], j]. */
function indexOf(tree) {
  const groups = [[]];
  for (const part of tree.slice(1)) {
    if (Array.isArray(part) && part[0] === "mo" && part[1] === ",") groups.push([]);
    else groups.at(-1).push(part);
  }
  return groups;
}

function withLetter(name, index, letters) {
  const letter = letters.get(name);
  const { shape } = ARRAY_NAMED.get(name);
  const kept = index.filter((_, axis) => shape[axis] !== 1).flatMap((each, n) => (n ? [["mo", ","], ...each] : each));
  const indexed = (made) => (kept.length ? ["msub", made, ["mrow", ...kept]] : made);
  const gradient = /^d(.+)$/.exec(letter);
  if (!gradient) return indexed(letter.length > 1 ? ["mtext", letter] : ["mi", letter]);
  return ["mfrac", ["mrow", ["mo", "∂"], ["mi", "L"]], ["mrow", ["mo", "∂"], indexed(["mi", gradient[1]])]];
}
