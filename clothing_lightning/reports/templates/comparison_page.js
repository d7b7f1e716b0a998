// The page can be read without its script, which sorts, hides, and compares two models.
// The other files of the script go on from this one.

const data = JSON.parse(document.getElementById("data").textContent);
const id = name => document.getElementById(name);

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
for (const element of all(".scripted")) element.hidden = false;

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
