// Small multiples: every trial's curves on the same axes, as light SVG; a first page until all are asked for.
const FIRST_CELLS = 48,
  CELL = { width: 150, height: 82 },
  CELL_EPOCHS = 60;
const multiples = { all: false };
const lossSet = D.curveSets.find(set => set.id === "loss") || D.curveSets[0];

function thinned(x, values) {
  const pairs = values.map((value, i) => [x[i], value]).filter(pair => pair[1] !== null);
  if (pairs.length <= CELL_EPOCHS) return pairs;
  return Array.from({ length: CELL_EPOCHS }, (_, i) => pairs[Math.round((i * (pairs.length - 1)) / (CELL_EPOCHS - 1))]);
}

function path(pairs, frame) {
  const clamp = value => Math.min(frame.y1, Math.max(frame.y0, value));
  const place = ([epoch, value]) => [
    ((epoch - frame.x0) / (frame.x1 - frame.x0 || 1)) * frame.width,
    frame.height - ((clamp(value) - frame.y0) / (frame.y1 - frame.y0 || 1)) * frame.height,
  ];
  return pairs
    .map(
      (pair, i) =>
        (i ? "L" : "M") +
        place(pair)
          .map(v => v.toFixed(1))
          .join(" "),
    )
    .join("");
}

// Axes that all cells share, made for what follows the first tenth of the epochs of complete trials, as pruned ones are
// often far off: values beyond run along the edge.
const frames = new Map();
function frameOf(set) {
  if (!frames.has(set.id)) {
    const whole = D.trials.filter(trial => trial.state === "complete");
    const values = (whole.length ? whole : D.trials)
      .flatMap(trial => trial.curves[set.id].flatMap(curve => curve.slice(Math.ceil(curve.length / 10))))
      .filter(value => value !== null)
      .sort((a, b) => a - b);
    const x1 = Math.max(1, ...D.trials.map(trial => Math.max(0, ...epochsOf(trial).slice(-1))));
    frames.set(set.id, { x0: 0, x1, y0: quantile(values, 0.02) ?? 0, y1: quantile(values, 0.97) ?? 1 });
  }
  return frames.get(set.id);
}

function curvesSvg(trial, set, frame, attributes) {
  const x = epochsOf(trial),
    [train, val] = trial.curves[set.id];
  const at = epoch => ((epoch - frame.x0) / (frame.x1 - frame.x0 || 1)) * frame.width;
  const parts = [];
  if (trial.onset !== null)
    parts.push(
      svg("rect", {
        class: "past",
        x: at(trial.onset),
        y: 0,
        width: Math.max(1, at(x[x.length - 1]) - at(trial.onset)),
        height: frame.height,
      }),
    );
  if (train.length) parts.push(svg("path", { class: "train", d: path(thinned(x, train), frame) }));
  if (val.length) parts.push(svg("path", { class: "val", d: path(thinned(x, val), frame) }));
  return svg(
    "svg",
    {
      viewBox: `0 0 ${frame.width} ${frame.height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      ...attributes,
    },
    ...parts,
  );
}

// A row's own little picture, on its own axes: the shape is what counts.
function spark(trial) {
  const values = trial.curves[lossSet.id].flat().filter(value => value !== null);
  const x = epochsOf(trial);
  const frame = {
    x0: 0,
    x1: Math.max(trial.max - 1, x[x.length - 1], 1),
    y0: Math.min(...values),
    y1: Math.max(...values),
    width: 74,
    height: 20,
  };
  return curvesSvg(trial, lossSet, frame, { class: "spark" });
}

function cell(trial, set) {
  const frame = { ...frameOf(set), ...CELL };
  return el(
    "button",
    {
      type: "button",
      class: "cell" + (rankOf.get(trial.n) === 1 ? " marked" : ""),
      onclick: () => inspect(trial.n),
      title: `Trial ${trial.n}, ${trial.state}`,
    },
    el("b", { class: "state " + trial.state }, String(trial.n)),
    el("span", {}, score(trial.value)),
    curvesSvg(trial, set, frame, {}),
  );
}

const ORDERS = [
  { name: "best first", key: trial => rankOf.get(trial.n) ?? Infinity },
  { name: "by trial number", key: trial => trial.n },
  { name: "largest final gap first", key: trial => -(trial.gapFinal ?? -Infinity) },
  ...D.params
    .filter(param => param.kind === "number")
    .map(param => ({ name: "by " + param.key, key: trial => paramOf(trial, param) ?? Infinity })),
];

function drawMultiples() {
  const set = D.curveSets[Number(byId("multiples-set").value)],
    order = ORDERS[Number(byId("multiples-order").value)];
  const trials = D.trials.filter(hasCurve).sort((a, b) => order.key(a) - order.key(b) || a.n - b.n);
  const shown = multiples.all ? trials : trials.slice(0, FIRST_CELLS);
  byId("multiples-grid").replaceChildren(...shown.map(trial => cell(trial, set)));
  byId("all-multiples").hidden = shown.length === trials.length;
  byId("all-multiples").textContent = `Show all ${trials.length.toLocaleString("en")}`;
}

function showMultiples() {
  if (!byId("multiples")) return;
  byId("multiples-set").append(
    ...D.curveSets.map((set, index) => el("option", { value: index, selected: set.id === "loss" }, set.label)),
  );
  byId("multiples-order").append(
    ...ORDERS.map((order, index) => el("option", { value: index }, clipped(order.name, 40))),
  );
  for (const id of ["multiples-set", "multiples-order"]) byId(id).addEventListener("change", drawMultiples);
  byId("all-multiples").addEventListener("click", () => {
    multiples.all = true;
    drawMultiples();
  });
  lazily(byId("multiples-grid"), drawMultiples);
}
