// Matrices. value(row, column) is null, or -1 to 1: its sign gives the colour.

function heat(place, {names, columns, value, text, describe, label, pick, grey}) {
  const size = names.length, cell = Math.max(11, Math.min(24, 430 / size));
  const room = text => Math.min(26, Math.max(...text.map(name => name.length))) * 5.6 + 8;
  const upright = Math.max(...columns.map(name => name.length)) * 5.6 < cell;
  const left = room(names), top = upright ? 14 : room(columns), side = cell * size;
  const width = left + side + 2, height = top + side + 2;
  const svg = draw("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application", "aria-label": label,
  });
  names.forEach((name, row) => {
    const y = top + (row + 0.5) * cell, x = left + (row + 0.5) * cell;
    const above = upright ? {x, y: top - 4, "text-anchor": "middle"} :
      {transform: `translate(${x + 3.5} ${top - 4}) rotate(-90)`};
    svg.append(
      draw("text", {x: left - 4, y: y + 3.5, "text-anchor": "end"}, short(name, 26), draw("title", {}, name)),
      draw("text", above, short(columns[row], 26)),
    );
  });
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const share = value(row, column), x = left + column * cell, y = top + row * cell;
      if (!share) continue;
      const isGrey = grey && grey(row, column), strength = Math.sqrt(Math.abs(share));
      svg.append(draw("rect", {
        x, y, width: cell, height: cell,
        fill: `var(--${isGrey ? "line" : share > 0 ? "gain" : "loss"})`,
        "fill-opacity": isGrey ? 0.6 : Math.max(0.07, strength).toFixed(3),
      }));
      const words = cell >= 17 ? text(row, column) : "";
      if (words) svg.append(draw("text", {
        x: x + cell / 2, y: y + cell / 2 + 3.3, "text-anchor": "middle",
        "font-size": words.length > 2 ? 8 : 9,
        class: !isGrey && strength > 0.6 ? "strong" : "",
      }, words));
    }
  }
  for (let line = 0; line <= size; line += size > 25 ? 5 : 1) {
    const at = line * cell;
    svg.append(
      draw("path", {class: "rule", d: `M${left} ${top + at}h${side}M${left + at} ${top}v${side}`}),
    );
  }
  const here = draw("rect", {class: "here", width: cell, height: cell, visibility: "hidden"});
  svg.append(draw("rect", {class: "frame", x: left, y: top, width: side, height: side}), here);
  const output = make("output");
  let at = [0, 0];
  const show = (row, column) => {
    if (row < 0 || column < 0 || row >= size || column >= size) return;
    at = [row, column];
    here.setAttribute("x", left + column * cell);
    here.setAttribute("y", top + row * cell);
    here.setAttribute("visibility", "visible");
    output.textContent = describe(row, column);
  };
  const spot = event => {
    const box = svg.getBoundingClientRect(), scale = width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale - left, (event.clientY - box.top) * scale - top];
    return [Math.floor(y / cell), Math.floor(x / cell)];
  };
  svg.onmousemove = event => show(...spot(event));
  svg.onclick = event => { show(...spot(event)); if (pick) pick(...at); };
  svg.onfocus = () => { if (svg.matches(":focus-visible")) show(...at); };
  svg.onkeydown = event => {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    if (step) { event.preventDefault(); show(at[0] + step[0], at[1] + step[1]); }
    if (event.key === "Enter" && pick) pick(...at);
  };
  place.replaceChildren(make("div", {className: "heat"}, svg), output);
}

const percent = share => {
  const points = Math.abs(share) * 100;
  return points < 0.5 ? "" : (share < 0 ? "−" : "") + Math.round(points);
};
