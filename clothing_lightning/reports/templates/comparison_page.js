"use strict";
// The page can be read without its script, which sorts, hides, and compares two models.
// The other files of the script go on from this one.

const data = JSON.parse(document.getElementById("data").textContent);
const id = name => document.getElementById(name);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const fixed = (value, digits = 3) => value === null ? "–" : value.toFixed(digits);
const signed = value => value === null ? "–" : (value < 0 ? "−" : "+") + fixed(Math.abs(value));
const pText = p => p === null ? "–" : p < 0.001 ? "< 0.001" : fixed(p);
const whole = count => count.toLocaleString("en", {maximumFractionDigits: 1});
const short = (name, limit) => name.length > limit
  ? name.slice(0, limit >> 1) + "…" + name.slice(1 - limit + (limit >> 1)) : name;

// Theme.

const darkWish = matchMedia("(prefers-color-scheme: dark)");
let dark = darkWish.matches;

function setTheme() {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  id("theme").textContent = dark ? "light" : "dark";
  id("theme").setAttribute("aria-label", `switch to ${dark ? "light" : "dark"} colours`);
}

id("theme").hidden = false;
id("theme").onclick = () => { dark = !dark; setTheme(); };
darkWish.onchange = () => { dark = darkWish.matches; setTheme(); };
setTheme();
for (const element of all(".scripted, .tools")) element.hidden = false;

// Tables: each body is one model, class or pair, and its first row is what it is sorted by.

function key(body, column) {
  const cell = body.rows[0].cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
}

function order(a, b, down) {
  if (typeof a === "number" && typeof b === "number") return down ? b - a : a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // unknown ones last
  return (down ? -1 : 1) * a.localeCompare(b, "en", {numeric: true});
}

function sort(table, heading) {
  const bodies = [...table.tBodies], column = heading.cellIndex;
  const before = heading.getAttribute("aria-sort");
  const numbers = bodies.some(body => typeof key(body, column) === "number");
  const places = heading.textContent === "place";
  const down = before ? before === "ascending" : numbers && !places; // largest numbers first
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  bodies.sort((a, b) => order(key(a, column), key(b, column), down));
  table.append(...bodies);
}

function press(element, action) {
  element.onclick = action;
  element.onkeydown = event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  };
}

for (const table of all(".wide table")) {
  for (const heading of table.tHead ? table.tHead.rows[0].cells : []) {
    // Not a button element: browsers print those on the first page only.
    const button = make("span", {role: "button", tabIndex: 0, title: "sort"});
    button.append(...heading.childNodes);
    press(button, () => sort(table, heading));
    heading.append(button);
  }
}

function search(field) {
  const bodies = [...document.querySelector("table." + field.dataset.for).tBodies];
  const words = field.value.toLowerCase().split(/\s+/);
  for (const body of bodies) {
    const names = all("th, .run", body).map(cell => cell.textContent).join(" ").toLowerCase();
    body.classList.toggle("filtered", !words.every(word => names.includes(word)));
  }
  const shown = bodies.filter(body => !body.classList.contains("filtered")).length;
  field.nextElementSibling.textContent = field.value ? `${shown} of ${bodies.length}` : "";
}

for (const field of all("input[data-for]")) field.oninput = () => search(field);

// Ranking: runs unfold, rows can be hidden.

const models = [...document.querySelector("table.ranking").tBodies];
const isUnfolded = body => !body.rows[1].hidden;

function unfold(body, open) {
  for (const row of all(".run", body)) row.hidden = !open;
  body.querySelector(".runs button").setAttribute("aria-expanded", open);
  id("unfold").textContent = models.every(isUnfolded) ? "fold all runs" : "unfold all runs";
}

function hide(body, hidden) {
  body.hidden = hidden;
  body.querySelector("input").checked = !hidden;
  const count = models.filter(each => each.hidden).length;
  id("show-all").hidden = count === 0;
  id("show-all").textContent = `show ${count} hidden`;
}

for (const body of models) {
  const place = body.querySelector(".runs");
  const button = make("button", {type: "button", textContent: place.textContent});
  button.onclick = () => unfold(body, !isUnfolded(body));
  place.replaceChildren(button);
  unfold(body, false);
  const box = body.querySelector("input");
  box.hidden = false;
  box.onchange = () => hide(body, !box.checked);
}
id("show-all").onclick = () => models.forEach(body => hide(body, false));
id("unfold").onclick = () => {
  const open = !models.every(isUnfolded);
  models.forEach(body => unfold(body, open));
};

// Cost against quality: one figure at a time.

const cost = id("cost");
if (cost) {
  cost.onchange = () => all(".cost").forEach(each => { each.hidden = each.id !== cost.value; });
  cost.onchange();
}
