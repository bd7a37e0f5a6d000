"use strict";
// Draws every figure at the width that it has, and lets points of the front be looked at by pointer and by key.

const data = JSON.parse(document.getElementById("data").textContent);

function draw(figure) {
  const place = figure.querySelector(".plot");
  const width = Math.floor(place.clientWidth);
  if (width === 0 || Number(place.dataset.width) === width) return; // hidden, or drawn already
  place.dataset.width = width;
  const picture = charts[figure.dataset.chart](data, figure.dataset, width);
  place.replaceChildren(picture);
  if (figure.dataset.chart === "front") front(figure, picture);
}

/** Pointer and arrow keys choose a point; what it is stands in the figure's panel. */
function front(figure, picture) {
  const panel = document.getElementById(figure.dataset.panel);
  const svg = picture.tagName === "svg" ? picture : picture.querySelector("svg");
  const cost = figure.dataset.cost;
  const points = [...data.front.points, ...data.front.uniform].sort((a, b) => a.costs[cost] - b.costs[cost]);
  const marks = new Map([...svg.querySelectorAll("[aria-label^='point '], [aria-label^='uniform, ']")].map((mark) => [mark.getAttribute("aria-label").split(", " + cost)[0], mark]));
  let current = points.findIndex((point) => point.chosen);
  const choose = (index) => {
    current = Math.max(0, Math.min(points.length - 1, index));
    svg.querySelectorAll(".looked-at").forEach((mark) => mark.classList.remove("looked-at"));
    marks.get(points[current].title)?.classList.add("looked-at");
    describe(panel, points[current]);
  };
  picture.addEventListener("input", () => {
    if (picture.value) choose(points.indexOf(picture.value));
  });
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-describedby", panel.id);
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -points.length, End: points.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(current + steps[event.key]);
  });
  choose(current);
}

/** The panel of a point: its costs, its loss and the bits of every tensor. All of it is text. */
function describe(panel, point) {
  const element = (name, text, ...children) => {
    const made = document.createElement(name);
    made.textContent = text;
    made.append(...children);
    return made;
  };
  const rows = (pairs) => pairs.map(([name, value]) => element("tr", "", element("th", name), element("td", value)));
  const proof = point.gap === 0 ? "proven the least at its cost" : point.gap === null || point.gap === undefined ? "" : `within ${digits(100 * point.gap)} % of the least`;
  const costs = Object.entries(point.costs).map(([name, value]) => [name, digits(value)]);
  const facts = element("table", "", ...rows([...costs, [`${data.front.losses} loss, ${data.loss_unit}`, `+${digits(point.loss)}`]]));
  const bits = element("table", "", ...rows(data.front.tensors.map((tensor, index) => [tensor, point.bits[index]])));
  const scroll = element("div", "", bits);
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "bits of every tensor");
  panel.replaceChildren(element("h4", point.title + (point.chosen ? ", chosen" : "")), facts, element("p", proof), element("h4", "bits"), scroll);
}

const figures = [...document.querySelectorAll("figure[data-chart]")];
const seen = new ResizeObserver((entries) => entries.forEach((entry) => draw(entry.target)));
figures.forEach((figure) => { draw(figure); seen.observe(figure); });
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
