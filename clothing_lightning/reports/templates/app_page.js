// Photos go to the server one after another; the threshold is applied here.

const data = JSON.parse(document.getElementById("data").textContent);
const by = id => document.getElementById(id);
const answered = new Map(); // card -> its answer
const queue = [];
let threshold = data.threshold, busy = false, broken = 0;

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function percent(share) {
  if (share > 0 && share < 0.005) return "< 1\u00a0%";
  return share < 1 && share > 0.995 ? "> 99\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
}

function picture(address, caption, description) {
  const figure = make("figure"), image = make("img");
  image.src = address;
  image.alt = description;
  figure.append(image, make("figcaption", caption));
  return figure;
}

// What the validation images say of a threshold: the last point that is not below it.
function sayValidation() {
  by("shown").textContent = threshold.toFixed(2);
  if (!data.images) return;
  const point = data.points.findLast(([least]) => least >= threshold);
  const images = data.images.toLocaleString("en");
  by("validation").textContent = point
    ? `Of ${images} validation images ${percent(point[1] / data.images)} are answered, `
      + `${percent(point[2])} of them rightly (95 % interval ${percent(point[3])} to ${percent(point[4])}).`
    : `None of the ${images} validation images is answered.`;
}

function judge(card) {
  const [label, probability] = answered.get(card).classes[0];
  const unsure = probability < threshold;
  card.classList.toggle("unsure", unsure);
  card.querySelector("h2").textContent = unsure ? "unsure" : label;
  return unsure;
}

function sayCount() {
  const unsure = [...answered.keys()].filter(judge).length;
  const waiting = queue.length + busy, total = answered.size + broken + waiting;
  by("clear").hidden = !total || waiting > 0;
  by("count").textContent = !total ? "" : [
    `${total} ${total === 1 ? "photo" : "photos"}: ${answered.size - unsure} answered`,
    unsure && `${unsure} unsure`,
    broken && `${broken} cannot be read`,
    waiting && `${waiting} to go`,
  ].filter(Boolean).join(", ");
}

function fill(card, answer) {
  const [label] = answer.classes[0];
  const pictures = card.querySelector(".pictures");
  pictures.append(picture(answer.photo, "photo", "the photo"));
  if (answer.heat) pictures.append(picture(answer.heat, "what speaks for it", `what speaks for ${label}`));
  for (const [name, share] of answer.classes) {
    const row = make("li"), bar = make("div", undefined, "bar"), part = make("div");
    part.style.width = `${100 * share}%`;
    bar.append(part);
    row.append(make("span", name), make("span", percent(share), "share"), bar);
    card.querySelector("ol").append(row);
  }
  answered.set(card, answer);
}

function refuse(card, reason) {
  card.classList.add("broken");
  card.querySelector("h2").textContent = "no answer";
  card.querySelector(".file").after(make("p", `This file ${reason}.`));
  broken++;
}

async function ask(file) {
  if (file.size > data.most_bytes) return {error: `is larger than ${data.most_bytes / 1e6} MB`};
  try {
    const headers = {"Content-Type": data.media_type};
    const response = await fetch("photos", {method: "POST", headers, body: file});
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return isJson ? await response.json() : {error: `was not answered (error ${response.status})`};
  } catch {
    return {error: "was not answered: the server does not respond"};
  }
}

async function work() {
  if (busy) return;
  busy = true;
  while (queue.length) {
    const [card, file] = queue.shift();
    sayCount();
    const answer = await ask(file);
    card.removeAttribute("aria-busy");
    if (answer.classes) fill(card, answer);
    else refuse(card, answer.error);
  }
  busy = false;
  sayCount();
}

function add(files) {
  for (const file of files) {
    const card = by("card").content.cloneNode(true).firstElementChild;
    card.setAttribute("aria-busy", "true");
    card.querySelector("h2").textContent = "…";
    card.querySelector(".file").textContent = file.name;
    by("cards").append(card);
    queue.push([card, file]);
  }
  work();
}

function setThreshold(value) {
  threshold = value;
  sayValidation();
  sayCount();
}

by("threshold").addEventListener("input", event => setThreshold(Number(event.target.value)));
for (const button of document.querySelectorAll("[data-threshold]")) {
  button.addEventListener("click", () => {
    by("threshold").value = button.dataset.threshold;
    setThreshold(Number(button.dataset.threshold));
  });
}
by("files").addEventListener("change", event => {
  add(event.target.files);
  event.target.value = ""; // the same photo may be chosen again
});
by("clear").addEventListener("click", () => {
  by("cards").replaceChildren();
  answered.clear();
  broken = 0;
  sayCount();
  by("files").focus();
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, event => {
    event.preventDefault();
    by("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}
sayValidation();
