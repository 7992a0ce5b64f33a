// Of the report's page: draws the figures in the page's own colours, and shows what is told of a chosen unit.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // "var(--name)" anywhere in a figure is the page's colour of that name.
  const themed = (value) => {
    if (typeof value === "string") return value.replace(/^var\((--[\w-]+)\)$/, (whole, name) => colour(name) || whole);
    if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map(themed);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, themed(inner)]));
    return value;
  };
  const axis = () => ({
    gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true,
    tickfont: { size: 11, color: colour("--muted") }, title: { font: { size: 12, color: colour("--muted") }, standoff: 8 },
  });
  const template = () => ({
    layout: {
      font: { family: colour("--sans"), size: 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", separators: ".\u202f",
      colorway: ["--work", "--join", "--pool", "--amber", "--red", "--other"].map(colour),
      colorscale: { sequential: [[0, colour("--panel")], [1, colour("--work")]] },
      margin: { l: 52, r: 12, t: 16, b: 44 }, xaxis: axis(), yaxis: axis(),
      legend: { font: { size: 12, color: colour("--muted") }, bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: colour("--ink"), bordercolor: colour("--ink"), font: { family: colour("--sans"), size: 12, color: colour("--bg") } },
      scene: { xaxis: { gridcolor: colour("--grid"), color: colour("--muted") }, yaxis: { gridcolor: colour("--grid"), color: colour("--muted") }, zaxis: { gridcolor: colour("--grid"), color: colour("--muted") } },
    },
  });
  const config = { displayModeBar: false, responsive: true, scrollZoom: false };
  const draw = () => {
    for (const place of document.querySelectorAll(".chart")) {
      const figure = figures[place.dataset.chart];
      const layout = { ...themed(figure.layout || {}), template: template(), autosize: true };
      Plotly.react(place, themed(figure.data || []), layout, config);
    }
  };
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // A drawing that is wider than its place begins where its first unit is.
  const canvas = document.querySelector(".canvas");
  const first = canvas && canvas.querySelector("[data-unit]");
  if (first) {
    const there = first.getBoundingClientRect(), here = canvas.getBoundingClientRect();
    canvas.scrollLeft += there.left + there.width / 2 - here.left - here.width / 2;
  }

  // One unit at a time; the same one again is let go of.
  const units = document.querySelectorAll("[data-unit]");
  const choose = (unit) => {
    const again = unit.classList.contains("chosen");
    for (const other of units) other.classList.toggle("chosen", other === unit && !again);
    const shown = again ? "unit-none" : `unit-${unit.dataset.unit}`;
    for (const article of document.querySelectorAll(".detail > article")) article.hidden = article.id !== shown;
    const panel = document.querySelector(".detail");
    panel.scrollTop = 0;
    if (!again && window.matchMedia("(max-width: 900px)").matches) panel.scrollIntoView({ block: "nearest" });
  };
  for (const unit of units) {
    unit.addEventListener("click", () => choose(unit));
    unit.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose(unit);
      }
    });
  }
})();
