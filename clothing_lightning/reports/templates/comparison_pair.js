// Predictions.

const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
const numbers = text => data.bytes_per_label === 1 ? bytes(text) : new Uint16Array(bytes(text).buffer);
const labels = numbers(data.labels);
const tests = data.tests.map(text => new Uint32Array(bytes(text).buffer));
const images = labels.length, classes = data.classes.length;
const trials = new Float64Array(images); // test sets that an image is in
for (const test of tests) for (const image of test) trials[image]++;
const support = new Float64Array(classes);
for (const label of labels) support[label]++;
const outcomes = new Map();

// What a model did: each image counts as 1, shared among test sets and repeats.
function outcome(number) {
  if (outcomes.has(number)) return outcomes.get(number);
  const confusion = new Float64Array(classes * classes), right = new Float64Array(images);
  const repeats = data.models[number].repeats.map(repeat => ({...repeat, predicted: numbers(repeat.predicted)}));
  for (const {test, predicted} of repeats) {
    const often = repeats.filter(each => each.test === test).length;
    tests[test].forEach((image, row) => {
      const weight = 1 / (trials[image] * often);
      confusion[labels[image] * classes + predicted[row]] += weight;
      if (predicted[row] === labels[image]) right[image] += weight;
    });
  }
  outcomes.set(number, {confusion, right, repeats});
  return outcomes.get(number);
}

// The classes that a model's repeats gave to an image, the most frequent first.
function answer(number, image) {
  const votes = new Map();
  for (const {test, predicted} of outcome(number).repeats) {
    const row = tests[test].indexOf(image);
    if (row >= 0) votes.set(predicted[row], (votes.get(predicted[row]) || 0) + 1);
  }
  const sorted = [...votes].sort((a, b) => b[1] - a[1]);
  return sorted.map(([label, count]) => data.classes[label] + (count > 1 ? ` ×${count}` : "")).join(", ");
}

// Pairs.

const pairs = new Map(data.pairs.map(pair => [`${pair.a} ${pair.b}`, pair]));

// The tests of a pair in either order.
function pairOf(a, b) {
  const pair = pairs.get(`${Math.min(a, b)} ${Math.max(a, b)}`);
  if (a < b || !pair) return pair;
  const reversed = score => ({...score, difference: -score.difference, low: -score.high, high: -score.low});
  return {...pair, accuracy: reversed(pair.accuracy), macro_f1: reversed(pair.macro_f1)};
}

function choose(a, b) {
  id("pick-a").value = a;
  id("pick-b").value = b;
  compare();
}

function drawAllPairs() {
  const count = data.models.length;
  heat(id("all-pairs"), {
    names: data.models.map(({title}, place) => `${short(title, 22)} ${place + 1}`),
    columns: data.models.map((_, place) => String(place + 1)),
    // Shades are full from a quarter on; what is 0 is drawn, too.
    value: (row, column) => row === column ? null :
      Math.max(-1, Math.min(1, 4 * pairOf(row, column).accuracy.difference)) || 1e-9,
    text: (row, column) => percent(pairOf(row, column).accuracy.difference) || "0",
    grey: (row, column) => pairOf(row, column).accuracy.p_holm >= data.alpha,
    describe: (row, column) => {
      if (row === column) return data.models[row].title;
      const {difference, p_holm} = pairOf(row, column).accuracy;
      return `${data.models[row].title} less ${data.models[column].title}: ${signed(difference)}, p (Holm) ${pText(p_holm)}`;
    },
    label: `Difference of accuracy of ${count} models; arrow keys move, Enter chooses a pair`,
    pick: (row, column) => {
      if (row === column) return;
      choose(row, column);
      id("where-two-models-differ").scrollIntoView();
    },
  });
}

const Z = 1.959963984540054;

// Adjusted Wald interval for paired proportions: Bonett and Price, 2012. `total` is the
// sum of the differences of n images, `squares` that of their squares.
function pairedInterval(total, squares, n) {
  const centre = total / (n + 2);
  const margin = Z * Math.sqrt(((squares + 2) / (n + 2) - centre ** 2) / (n + 2));
  return [Math.max(-1, centre - margin), Math.min(1, centre + margin)];
}

// Of each class the sum of the differences of its images, A less B, and of their squares.
function gaps(a, b) {
  const total = new Float64Array(classes), squares = new Float64Array(classes);
  const [rightA, rightB] = [outcome(a).right, outcome(b).right];
  labels.forEach((label, image) => {
    const gap = rightA[image] - rightB[image];
    total[label] += gap;
    squares[label] += gap ** 2;
  });
  return [total, squares];
}

function showNumbers(a, b) {
  const pair = pairOf(a, b), [A, B] = [data.models[a], data.models[b]];
  const verdict = ({p_holm}) => `${p_holm < data.alpha ? "differ beyond chance" : "cannot be told apart"} (p ` +
    `${p_holm < 0.001 ? "" : "= "}${pText(p_holm)})`;
  const needed = pair.images_needed;
  const advice = needed === null || needed <= images || pair.accuracy.p_holm < data.alpha ? "" :
    ` About ${Number(needed.toPrecision(2)).toLocaleString("en")} test images would tell their accuracies apart.`;
  id("verdict").textContent = `By accuracy A and B ${verdict(pair.accuracy)}, by macro F1 they ` +
    `${verdict(pair.macro_f1)}, corrected for all pairs, at n = ${images.toLocaleString("en")}.${advice}`;
  const body = make("tbody");
  for (const [score, textContent] of [["accuracy", "accuracy"], ["macro_f1", "macro F1"]]) {
    const {difference, low, high, p, p_holm} = pair[score];
    const texts = [fixed(A[score]), fixed(B[score]), signed(difference), `${signed(low)} to ${signed(high)}`, pText(p), pText(p_holm)];
    body.append(make("tr", {}, make("th", {scope: "row", textContent}),
      ...texts.map(textContent => make("td", {textContent}))));
  }
  const head = ["score", "A", "B", "A less B", "95 % interval", "p", "p, Holm"];
  id("pair-numbers").replaceChildren(
    make("thead", {}, make("tr", {}, ...head.map(textContent => make("th", {scope: "col", textContent})))), body);
}

function drawMatrices(a, b) {
  const share = (number, row, column) =>
    support[row] ? outcome(number).confusion[row * classes + column] / support[row] : null;
  const describe = (number, name, row, column) =>
    `${name}: ${whole(outcome(number).confusion[row * classes + column])} of ${whole(support[row])}`;
  const what = (row, column) => `True ${data.classes[row]}, predicted ${data.classes[column]}. `;
  const gap = (row, column) => share(a, row, column) - share(b, row, column);
  const grid = {names: data.classes, columns: data.classes};
  for (const [side, number] of [["a", a], ["b", b]]) {
    const name = side.toUpperCase();
    id("name-" + side).textContent = `${name}: ${data.models[number].title}`;
    heat(id("matrix-" + side), {
      ...grid, value: (row, column) => share(number, row, column),
      text: (row, column) => percent(share(number, row, column)),
      describe: (row, column) => what(row, column) + describe(number, name, row, column),
      label: `Confusion matrix of ${data.models[number].title}; arrow keys move`,
    });
  }
  heat(id("matrix-difference"), {
    ...grid, value: gap, text: (row, column) => percent(gap(row, column)),
    describe: (row, column) => what(row, column) + describe(a, "A", row, column) + ", " + describe(b, "B", row, column),
    label: "Confusion matrix of A less that of B; arrow keys move",
  });
}

function drawInterval(low, high, middle, scale) {
  const x = value => 70 + 66 * value / scale;
  const colour = low > 0 ? "gain" : high < 0 ? "loss" : "muted";
  return draw("svg", {width: 140, height: 14, "aria-hidden": true},
    draw("path", {d: "M70 0v14", stroke: "var(--muted)"}),
    draw("path", {d: `M${x(low)} 7H${x(high)}`, stroke: `var(--${colour})`, "stroke-width": 2}),
    draw("circle", {cx: x(middle), cy: 7, r: 3.5, fill: `var(--${colour})`}));
}

function showGains(a, b) {
  const [total, squares] = gaps(a, b);
  const recall = (number, label) => outcome(number).confusion[label * (classes + 1)] / support[label];
  const rows = [];
  for (let label = 0; label < classes; label++) {
    if (!support[label]) continue;
    const [low, high] = pairedInterval(total[label], squares[label], support[label]);
    const [ofA, ofB] = [recall(a, label), recall(b, label)];
    rows.push({label, ofA, ofB, difference: ofA - ofB, low, high, sure: low > 0 || high < 0});
  }
  rows.sort((one, other) => other.difference - one.difference);
  const scale = Math.max(0.01, ...rows.flatMap(({low, high}) => [-low, high]));
  const number = (text, value) => {
    const cell = make("td", {}, text);
    cell.dataset.value = value;
    return cell;
  };
  const table = id("gains");
  for (const body of [...table.tBodies]) body.remove();
  for (const heading of all("[aria-sort]", table)) heading.removeAttribute("aria-sort");
  for (const {label, ofA, ofB, difference, low, high, sure} of rows) {
    const gap = number(signed(difference), difference);
    gap.append(make("small", {}, `${signed(low)} to ${signed(high)}`));
    if (sure) gap.className = "sure";
    table.append(make("tbody", {}, make("tr", {},
      make("th", {scope: "row", textContent: data.classes[label]}),
      number(whole(support[label]), support[label]), number(fixed(ofA), ofA), number(fixed(ofB), ofB),
      gap, make("td", {}, drawInterval(low, high, difference, scale)))));
  }
  search(id("search-gains"));
  id("gains-note").textContent =
    `Recall with 95 % intervals. Of ${rows.length}, those that leave out 0: ` +
    `${rows.filter(row => row.sure).length}; by chance alone about ${whole(rows.length * 0.05)} would.`;
}

// Photos.

const PHOTOS = 24, PATHS = 200, CLEARLY = 0.5;

function enlarge(image, source, words) {
  const dialog = id("large");
  Object.assign(dialog.querySelector("img"), {src: source, alt: words});
  dialog.querySelector("div").replaceChildren(
    make("p", {textContent: words}), make("p", {className: "path", textContent: data.paths[image]}));
  dialog.showModal();
}

function photo(image, a, b) {
  const truth = data.classes[labels[image]], source = "data:image/jpeg;base64," + data.photos[image];
  const answers = `A: ${answer(a, image)} · B: ${answer(b, image)}`;
  const button = make("button", {type: "button"}, make("img", {src: source, alt: data.paths[image]}));
  button.onclick = () => enlarge(image, source, `${truth}. ${answers}`);
  return make("figure", {}, button, make("figcaption", {}, make("strong", {textContent: truth}), ...answers.split(" · ").map(textContent => make("div", {textContent}))));
}

// Images that one model gets right and the other wrong, those with a photo first.
function showImages(place, title, a, b, better, worse) {
  const [rightOf, wrongOf] = [outcome(better).right, outcome(worse).right];
  const gap = image => rightOf[image] - wrongOf[image];
  const differing = [...labels.keys()].filter(image => gap(image) >= CLEARLY).sort((one, other) =>
    (other in data.photos) - (one in data.photos) || gap(other) - gap(one) || one - other);
  title.textContent = `${better === a ? "A right, B wrong" : "B right, A wrong"} (${differing.length.toLocaleString("en")})`;
  const shown = differing.filter(image => image in data.photos).slice(0, PHOTOS);
  const rest = differing.slice(shown.length);
  place.replaceChildren(...shown.map(image => photo(image, a, b)));
  if (!differing.length) place.append(make("p", {textContent: "No image."}));
  if (!rest.length) return;
  const items = rest.slice(0, PATHS).map(image => make("li", {}, make("span", {className: "path", textContent: data.paths[image]}),
    ` ${data.classes[labels[image]]} · A: ${answer(a, image)} · B: ${answer(b, image)}`));
  if (rest.length > PATHS) items.push(make("li", {textContent: `and ${rest.length - PATHS} more`}));
  place.append(make("details", {open: !shown.length}, make("summary", {textContent: `${rest.length.toLocaleString("en")} ${shown.length ? "more, " : ""}by path`}), make("ul", {className: "small"}, ...items)));
}

function compare() {
  const [a, b] = [Number(id("pick-a").value), Number(id("pick-b").value)];
  if (a === b) {
    id("verdict").textContent = "A and B are the same model. Choose another one.";
    return;
  }
  showNumbers(a, b);
  drawMatrices(a, b);
  showGains(a, b);
  showImages(id("only-a"), id("only-a-title"), a, b, a, b);
  showImages(id("only-b"), id("only-b-title"), a, b, b, a);
}

if (data.pairs.length) {
  id("pick-a").onchange = id("pick-b").onchange = compare;
  id("swap").onclick = () => choose(id("pick-b").value, id("pick-a").value);
  id("large").onclick = event => { if (event.target === id("large")) id("large").close(); };
  drawAllPairs();
  choose(0, 1);
}
