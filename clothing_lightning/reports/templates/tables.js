"use strict";
// Tables whose headings sort them, and fields that search them. All works without, too.
// Each body is one thing, such as a model, and its first row is what it is sorted by.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const NUMBER = /^[\d,.]+( x [\d,.]+)*$/; // of sizes, the first side

function key(body, column) {
  const cell = body.rows[0].cells[column];
  if ("value" in cell.dataset) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  return NUMBER.test(text) ? parseFloat(text.replaceAll(",", "")) : text;
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
  const part = field.closest("details, section");
  const bodies = [...part.querySelector("table." + field.dataset.for).tBodies];
  const words = field.value.toLowerCase().split(/\s+/);
  for (const body of bodies) {
    const cells = all(field.dataset.cells, body).map(cell => cell.textContent);
    const names = cells.join(" ").toLowerCase();
    body.classList.toggle("filtered", !words.every(word => names.includes(word)));
  }
  const shown = bodies.filter(body => !body.classList.contains("filtered")).length;
  field.nextElementSibling.textContent = field.value ? `${shown} of ${bodies.length}` : "";
}

for (const field of all("input[data-for]")) field.oninput = () => search(field);
for (const element of all(".tools")) element.hidden = false;
