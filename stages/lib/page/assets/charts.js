"use strict";
// Charts as SVG, and the heat map. Every text goes in as a text node, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const tip = document.getElementById("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const { clientX: x, clientY: y } = event;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}
const hideTip = () => (tip.hidden = true);
addEventListener("scroll", hideTip, { passive: true });

const points = (share, signed) => (signed && share >= 0 ? "+" : "") + (100 * share).toFixed(1);
// A score has one colour in all charts; a series without one takes its place's.
const colourOf = (line, i) => line.colour ?? i;
const stroke = (line, i) => `var(--c${colourOf(line, i) % 7})`;
const dashes = (line, i) => ["none", "6 3", "2 3"][(line.dash ?? Math.floor(colourOf(line, i) / 7)) % 3];

function ticks(low, high, count = 5) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

// series: [{label, on, points: [{x, y, low?, high?, text}]}]; options: width, height, xLabel, yLabel, log, percent, diagonal.
function drawChart(figure, series, options) {
  const { width = 900, height = 420, log = false, percent = false } = options;
  const box = { left: 46, right: 12, top: 10, bottom: 40 };
  const shown = series.filter((line) => line.on !== false && line.points.length);
  const all = shown.flatMap((line) => line.points);
  if (!all.length) all.push({ x: 1, y: 0 });
  const xs = all.map((p) => p.x), ys = all.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y]);
  let [x0, x1, y0, y1] = options.diagonal ? [0, 1, 0, 1] : [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  if (x1 === x0) x1 = log ? x0 * 2 : x0 + 1;
  if (y1 === y0) y1 = y0 + (percent ? 0.05 : 1);
  const f = log ? Math.log2 : (x) => x;
  const px = (x) => box.left + ((f(x) - f(x0)) / (f(x1) - f(x0))) * (width - box.left - box.right);
  const py = (y) => height - box.bottom - ((y - y0) / (y1 - y0)) * (height - box.top - box.bottom);
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${options.yLabel} against ${options.xLabel}` });
  const xTicks = log
    ? Array.from({ length: Math.floor(f(x1)) - Math.ceil(f(x0)) + 1 }, (_, i) => 2 ** (Math.ceil(f(x0)) + i))
    : ticks(x0, x1);
  for (const x of xTicks)
    svg.append(draw("line", { class: "grid", x1: px(x), x2: px(x), y1: box.top, y2: height - box.bottom }),
      draw("text", { x: px(x), y: height - box.bottom + 16, "text-anchor": "middle" }, String(+x.toPrecision(6))));
  for (const y of ticks(y0, y1))
    svg.append(draw("line", { class: "grid", x1: box.left, x2: width - box.right, y1: py(y), y2: py(y) }),
      draw("text", { x: box.left - 6, y: py(y) + 4, "text-anchor": "end" }, percent ? (100 * y).toFixed(0) : String(+y.toPrecision(4))));
  svg.append(draw("text", { x: (box.left + width) / 2, y: height - 6, "text-anchor": "middle" }, options.xLabel),
    draw("text", { x: 12, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${height / 2})` }, options.yLabel));
  if (options.diagonal) svg.append(draw("line", { x1: px(0), y1: py(0), x2: px(1), y2: py(1), stroke: "var(--faint)", "stroke-dasharray": "4 4" }));
  for (const line of shown) {
    const i = series.indexOf(line), path = (key) => line.points.map((p) => `${px(p.x).toFixed(1)},${py(p[key]).toFixed(1)}`);
    if (line.points[0].low !== undefined)
      svg.append(draw("polygon", { points: [...path("low"), ...path("high").reverse()].join(" "), fill: stroke(line, i), opacity: 0.1 }));
    svg.append(draw("polyline", { points: path("y").join(" "), fill: "none", stroke: stroke(line, i), "stroke-width": 2, "stroke-dasharray": dashes(line, i), "stroke-linejoin": "round" }));
    if (line.points.length <= 24)
      for (const p of line.points) svg.append(draw("circle", { cx: px(p.x), cy: py(p.y), r: p.r ?? 2.8, fill: stroke(line, i), "fill-opacity": p.r ? 0.6 : 1 }));
  }
  const mark = draw("circle", { r: 6, fill: "none", stroke: "var(--ink)", "stroke-width": 2, visibility: "hidden" });
  svg.append(mark);
  function hover(event) {
    const area = svg.getBoundingClientRect(), scale = width / area.width;
    const mx = (event.clientX - area.left) * scale, my = (event.clientY - area.top) * scale;
    let best = null, nearest = 60 ** 2;
    for (const line of shown)
      for (const p of line.points) {
        const distance = (px(p.x) - mx) ** 2 + (py(p.y) - my) ** 2;
        if (distance < nearest) [best, nearest] = [{ line, p }, distance];
      }
    mark.setAttribute("visibility", best ? "visible" : "hidden");
    if (!best) return hideTip();
    mark.setAttribute("cx", px(best.p.x));
    mark.setAttribute("cy", py(best.p.y));
    showTip(event, `${best.line.label}\n${best.p.text}`);
  }
  svg.addEventListener("pointermove", hover);
  svg.addEventListener("pointerdown", hover);
  svg.addEventListener("pointerleave", () => (hideTip(), mark.setAttribute("visibility", "hidden")));
  const buttons = series.map((line, i) =>
    make("button", { type: "button", "aria-pressed": String(line.on !== false), onclick: () => { line.on = line.on === false; drawChart(figure, series, options); } },
      draw("svg", { viewBox: "0 0 26 10" }, draw("line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: stroke(line, i), "stroke-width": 3, "stroke-dasharray": dashes(line, i) })), line.label));
  const further = make("details", { class: "more", open: figure.querySelector(".more")?.open }, make("summary", {}, "more curves"),
    make("div", { class: "legend" }, buttons.filter((_, i) => series[i].further)));
  const legend = make("div", { class: "legend" }, buttons.filter((_, i) => !series[i].further), series.some((line) => line.further) ? further : "");
  const focused = [...figure.querySelectorAll("button")].indexOf(document.activeElement);
  figure.replaceChildren(...(options.head ?? []), svg, series.length > 1 || options.always ? legend : "");
  if (focused >= 0) figure.querySelectorAll("button")[focused]?.focus();
}

function drawCurves(figure) {
  const axes = figure.dataset.axes.split(" ");
  const series = data.curves.map((curve) => ({ ...curve, further: !curve.on, raw: curve.points }));
  const narrow = matchMedia("(max-width: 760px)");
  let axis = "k";
  function show() {
    for (const line of series)
      line.points = line.raw.map(([k, mean, low, high, n]) => ({
        x: axis === "k" ? k : k * line.cost, y: mean, low, high,
        text: `k = ${k}: ${points(mean)} % [${points(low)}, ${points(high)}], n = ${n} problems` + (axis === "k" ? "" : `\ncost ${(k * line.cost).toFixed(1)}`),
      }));
    const head = axes.length < 2 ? [] : [make("div", { class: "controls" }, make("label", {}, "horizontal axis",
      make("select", { onchange: (event) => ((axis = event.target.value), show()) },
        make("option", { value: "k", selected: axis === "k" || null }, "solutions drawn, k"),
        make("option", { value: "compute", selected: axis !== "k" || null }, "compute, in solutions drawn"))))];
    drawChart(figure, series, { log: true, percent: true, head, xLabel: axis === "k" ? "k, solutions drawn per problem" : "compute per problem, in solutions drawn", yLabel: "accuracy, %", ...(narrow.matches ? { width: 460, height: 380 } : {}) });
  }
  narrow.addEventListener("change", show);
  show();
}

const shade = (t) => (t >= 0 ? `rgb(0 114 178 / ${Math.min(1, t) * 0.75})` : `rgb(213 94 0 / ${Math.min(1, -t) * 0.75})`);
const VIEWS = {
  gain: { label: "gain over majority, points", signed: true, shade: (x) => x / 0.15 },
  gap: { label: "gap: gain in distribution minus gain here, points", signed: true, shade: (x) => -x / 0.15 },
  accuracy: { label: "accuracy, %", shade: (x) => x },
  auc: { label: "AUC of the score", raw: true, shade: (x) => (x - 0.5) * 2 },
};
function drawHeatmap(figure, openSet) {
  const { methods, rows, n } = data.matrix, nameOf = (row) => row.operator + (row.dose === null ? "" : ` @${row.dose}`);
  function show(view) {
    const { signed, raw, ...kind } = VIEWS[view];
    const write = (x) => (raw ? x.toFixed(2) : points(x, signed));
    const head = ["set", "problems", "pass@1", "majority", `pass@${n}`, ...methods];
    const body = rows.map((row) => make("tr", { class: row.pooled ? "pooled" : row.alive ? null : "aside" },
      make("th", { scope: "row" }, openSet(row.name) ? make("button", { type: "button", onclick: openSet(row.name) }, nameOf(row)) : nameOf(row)),
      make("td", { class: "number" }, row.problems),
      ["pass_1", "majority", "pass"].map((key) => make("td", { class: "number" }, points(row[key]))),
      row.cells.map((cell, i) => {
        const triple = cell[view];
        const td = make("td", { class: "cell" }, triple ? [write(triple[0]) + (view === "gain" && cell.p?.endsWith("*") && !row.pooled ? "*" : ""), make("small", {}, `${write(triple[1])}, ${write(triple[2])}`)] : "");
        if (!triple) return td;
        td.style.background = shade(kind.shade(triple[0]));
        const text = `${methods[i]} on ${row.name}, ${row.problems} problems\n${kind.label}: ${write(triple[0])} [${write(triple[1])}, ${write(triple[2])}]`
          + (view === "gain" && cell.p ? `\np ${cell.p}` : "") + (view === "gap" ? (cell.parents ? `\npaired with ${cell.parents} parents` : "\nindependent means") : "");
        for (const type of ["pointermove", "pointerdown"]) td.addEventListener(type, (event) => showTip(event, text));
        td.addEventListener("pointerleave", hideTip);
        return td;
      })));
    figure.replaceChildren(
      make("div", { class: "controls" }, make("label", {}, "cells show", make("select", { onchange: (event) => show(event.target.value) },
        Object.entries(VIEWS).map(([key, { label }]) => make("option", { value: key, selected: key === view || null }, label))))),
      make("div", { class: "scroll tall" }, make("table", {}, make("thead", {}, make("tr", {}, head.map((text, i) => make("th", { class: i && i < 5 ? "number" : null }, text)))), make("tbody", {}, body))),
      make("figcaption", {}, "Blue helps, orange harms; below each figure its 95 % interval."));
  }
  show("gain");
}
