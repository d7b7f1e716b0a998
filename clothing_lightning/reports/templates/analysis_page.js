// Tables whose headings sort them, and fields that search them. All works without, too.
const text = (row, column) => row.cells[column].textContent;
const value = (row, column) => parseFloat(text(row, column).replaceAll(",", ""));

function compare(one, other, column) {
  const [a, b] = [value(one, column), value(other, column)];
  if (!isNaN(a) && !isNaN(b)) return a - b;
  if (isNaN(a) !== isNaN(b)) return isNaN(a) ? -1 : 1;
  return text(one, column).localeCompare(text(other, column), "en", {numeric: true});
}

function sort(table, heading) {
  const rows = [...table.tBodies[0].rows];
  const before = heading.getAttribute("aria-sort");
  const numbers = rows.some(row => !isNaN(value(row, heading.cellIndex)));
  const down = before ? before === "ascending" : numbers; // largest numbers first
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  rows.sort((a, b) => (down ? -1 : 1) * compare(a, b, heading.cellIndex));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll(".wide table")) {
  for (const heading of table.tHead.rows[0].cells) {
    // Not a button element: browsers print those on the first page only.
    const button = document.createElement("span");
    Object.assign(button, {role: "button", tabIndex: 0, title: "sort"});
    button.append(...heading.childNodes);
    button.onclick = () => sort(table, heading);
    button.onkeydown = event => event.key === "Enter" && sort(table, heading);
    heading.append(button);
  }
}

for (const field of document.querySelectorAll("input[type=search]")) {
  const rows = [...field.closest(".every").querySelectorAll("tbody tr")];
  const count = field.parentElement.querySelector(".count");
  field.hidden = false;
  field.oninput = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const found = (text(row, 1) + " " + text(row, 2)).toLowerCase();
      row.hidden = !words.every(word => found.includes(word));
    }
    const shown = rows.filter(row => !row.hidden).length;
    count.textContent = shown + " of " + rows.length + " layers";
  };
}
