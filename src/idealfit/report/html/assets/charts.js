// Plotly under the page's colours: drawn when it comes near the window, drawn again when the colours change.
const drawn = new Map();
const SYMBOLS = { complete: "circle", pruned: "circle-open", failed: "x", running: "diamond", interrupted: "square" };
// Viridis, without the end that the ground swallows; from poor to good or early to late.
const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];
// Okabe and Ito's colours, told apart by all eyes; black and yellow give way to what shows on both grounds.
const CATEGORIES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d31", "#7f7f7f"];
const CATEGORY_SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "pentagon"];

const colour = name =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();
const isDark = () => document.documentElement.dataset.theme === "dark";

function scale() {
  const stops = isDark() ? VIRIDIS.slice(3) : VIRIDIS.slice(0, 8).reverse();
  return stops.map((stop, index) => [index / (stops.length - 1), stop]);
}

function onScale(share) {
  const stops = scale();
  return stops[Math.min(stops.length - 1, Math.max(0, Math.round(share * (stops.length - 1))))][1];
}

function axis(title, more = {}) {
  return {
    title: { text: plain(title), standoff: 8 },
    automargin: true,
    zeroline: false,
    gridcolor: colour("line"),
    linecolor: colour("line"),
    tickcolor: colour("line"),
    ...more,
  };
}

const scoreAxis = (title, more = {}) => axis(title, { ...(D.study.percent ? { tickformat: ".3~%" } : {}), ...more });

function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    margin: { t: 14, r: 16, b: 46, l: 62 },
    hovermode: "closest",
    showlegend: false,
    hoverlabel: {
      bgcolor: colour("card"),
      bordercolor: colour("line"),
      font: { color: colour("ink"), size: 12 },
      align: "left",
    },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    ...more,
  };
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

// Plotly is most of the page's bytes: it is read only after words and table are there.
function startPlotly() {
  if (window.Plotly) return;
  document.head.append(el("script", {}, byId("plotly").textContent));
  byId("plotly").remove();
}

function plot(node, traces, more) {
  startPlotly();
  Plotly.react(node, traces, layout(more), CONFIG);
  if (node.dataset.listening) return;
  node.dataset.listening = "yes";
  node.on("plotly_click", event => {
    const chosen = event.points[0].customdata;
    if (chosen !== undefined && chosen !== null) inspect(Number(chosen));
  });
}

const watcher = new IntersectionObserver(
  entries => {
    for (const entry of entries.filter(entry => entry.isIntersecting)) draw(entry.target);
  },
  { rootMargin: "400px" },
);

const waiting = new Map();
function lazily(node, make) {
  node.setAttribute("role", node.getAttribute("role") || "img");
  waiting.set(node, make);
  watcher.observe(node);
}

function draw(node) {
  if (!waiting.has(node)) return;
  drawn.set(node, waiting.get(node));
  waiting.delete(node);
  watcher.unobserve(node);
  drawn.get(node)();
}

function drawAll() {
  [...waiting.keys()].forEach(draw);
}

function redraw(node) {
  if (drawn.has(node)) drawn.get(node)();
}

function empty(node, text) {
  node.classList.add("empty");
  node.classList.remove("tall", "short");
  node.textContent = text;
}

// Marker of a list of trials: symbol by state, colour given for each.
function marker(trials, colours, more = {}) {
  return {
    size: trials.length > 300 ? 6 : 9,
    opacity: trials.length > 300 ? 0.75 : 0.9,
    color: colours,
    symbol: trials.map(trial => SYMBOLS[trial.state] || "circle"),
    line: {
      width: trials.map(trial => (trial.state === "pruned" ? 1.6 : 0.5)),
      color: trials.length > 300 ? colours : colour("card"),
    },
    ...more,
  };
}

function scatter(trials, x, y, colours, more = {}) {
  return {
    type: "scatter",
    mode: "markers",
    x,
    y,
    text: trials.map(hover),
    hoverinfo: "text",
    customdata: trials.map(trial => trial.n),
    marker: marker(trials, colours),
    ...more,
  };
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = name === "dark" ? "Light" : "Dark";
  [...drawn.values()].forEach(make => make());
  inspect.redraw?.();
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
}
