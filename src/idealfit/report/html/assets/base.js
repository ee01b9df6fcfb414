// The data, and how names and numbers are written. Names come from anybody's records: they enter the page as text nodes only.
const D = JSON.parse(document.getElementById("study-data").textContent);
const trialOf = new Map(D.trials.map(trial => [trial.n, trial]));
const SCORED = new Set(["complete", "pruned"]);
const scored = D.trials.filter(trial => SCORED.has(trial.state) && trial.value !== null);
const valued = scored.length ? scored : D.trials.filter(trial => trial.value !== null);
const byId = id => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(
    ...children
      .filter(child => child !== null && child !== undefined)
      .map(child => (child.nodeType ? child : String(child))),
  );
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Plotly reads a little HTML in its texts, links among it, and TeX between dollar signs.
const SIGNS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", $: "&#36;" };
const plain = text => String(text).replaceAll(/[&<>$]/g, sign => SIGNS[sign]);

// A unit stays with its number.
const tidy = text => text.replaceAll(" %", "\u00a0%").replaceAll(" = ", "\u00a0=\u00a0");

const clipped = (text, length = 60) =>
  String(text).length > length ? String(text).slice(0, length - 1) + "…" : String(text);

function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(digits - 1).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(digits)));
}

const score = (value, percent = D.study.percent) =>
  value === null || value === undefined ? "–" : percent ? (100 * value).toFixed(2) + " %" : number(value, 4);

const points = value =>
  value === null || value === undefined ? "–" : D.study.percent ? (100 * value).toFixed(1) + " pts" : number(value, 3);

const paramText = value =>
  value === null || value === undefined ? "–" : typeof value === "number" ? number(value) : String(value);

function seconds(value) {
  if (!value) return "–";
  if (value < 10) return value.toFixed(1) + " s";
  if (value < 120) return Math.round(value) + " s";
  return value < 7200 ? Math.round(value / 60) + " min" : (value / 3600).toFixed(1) + " h";
}

function hoverText(trial) {
  const lines = [`<b>Trial ${trial.n}</b> ${trial.state}${trial.failure ? ": " + plain(trial.failure) : ""}`];
  if (trial.value !== null) lines.push(`${plain(D.study.metric)} ${score(trial.value)}, gap ${points(trial.gap)}`);
  lines.push(`${trial.epochs} of ${trial.max} epochs` + (trial.onset === null ? "" : `, overfits from ${trial.onset}`));
  D.params
    .slice(0, 12)
    .forEach(param =>
      lines.push(`${plain(clipped(param.key, 40))} = ${plain(clipped(paramText(paramOf(trial, param)), 40))}`),
    );
  return lines.join("<br>");
}

const hoverTexts = new Map();
function hover(trial) {
  if (!hoverTexts.has(trial.n)) hoverTexts.set(trial.n, hoverText(trial));
  return hoverTexts.get(trial.n);
}

// Trials hold their values in the order of `keys`; `params` is ordered by importance.
const keyIndex = new Map(D.keys.map((key, index) => [key, index]));
const paramOf = (trial, param) => trial.params[keyIndex.get(param.key)];

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))];

// The scores worth an axis: those of complete trials, as pruned ones stopped on their way; where a tail of bad ones would
// squeeze the rest, it is cut. Points beyond sit on the edge.
function scoreLimits(trials, share = 0.06) {
  const whole = trials.filter(trial => trial.state === "complete");
  const values = (whole.length > 2 ? whole : trials).map(trial => trial.value);
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  let [low, high] = [sorted[0], sorted[sorted.length - 1]];
  const [lowTenth, highTenth] = [quantile(sorted, 0.1), quantile(sorted, 0.9)];
  if (D.study.maximize && lowTenth - low > 1.2 * (high - lowTenth)) low = lowTenth;
  if (!D.study.maximize && high - highTenth > 1.2 * (highTenth - low)) high = highTenth;
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}
