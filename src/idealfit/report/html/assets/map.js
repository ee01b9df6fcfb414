// The overfitting map: training score against validation score, one point a trial, coloured as the reader likes.
const MAP_COLOURS = [
  { name: "gap (training better than validation)", value: trial => trial.gap, format: points },
  { name: "overfit onset (epoch)", value: trial => trial.onset },
  { name: "epochs trained", value: trial => trial.epochs },
  { name: "state", value: trial => trial.state, category: true },
  ...D.params.map(param => ({
    name: param.key,
    value: trial => paramOf(trial, param),
    category: param.kind === "category",
    log: param.log,
  })),
];

function numericColours(trials, by) {
  const values = trials.map(trial => {
    const v = by.value(trial);
    return typeof v === "number" ? (by.log ? Math.log10(v) : v) : null;
  });
  const known = values.filter(value => value !== null);
  const bar = { title: { text: plain(clipped(by.name, 40)), side: "right" }, thickness: 12, outlinewidth: 0, len: 0.9 };
  if (by.log && known.length) {
    const [low, high] = [Math.min(...known), Math.max(...known)];
    bar.tickvals = [0, 1, 2, 3, 4].map(i => low + ((high - low) * i) / 4);
    bar.ticktext = bar.tickvals.map(value => number(10 ** value, 2));
  } else if (by.format === points && D.study.percent) bar.tickformat = ".3~%";
  return {
    color: values.map(value => value ?? NaN),
    colorscale: scale(),
    showscale: new Set(known).size > 1,
    colorbar: bar,
  };
}

function categoryTraces(trials, by, x, y) {
  const groups = new Map();
  trials.forEach((trial, index) => {
    const name = paramText(by.value(trial));
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(index);
  });
  return [...groups]
    .sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }))
    .map(([name, indices], place) => {
      const own = indices.map(index => trials[index]);
      const shade = by.name === "state" ? colour(name) : CATEGORIES[place % CATEGORIES.length];
      const trace = scatter(
        own,
        indices.map(i => x[i]),
        indices.map(i => y[i]),
        shade,
        { name: plain(clipped(name, 30)), showlegend: true },
      );
      if (by.name !== "state") trace.marker.symbol = CATEGORY_SYMBOLS[place % CATEGORY_SYMBOLS.length];
      trace.marker.line = {
        width: own.some(trial => trial.state === "pruned") && by.name === "state" ? 1.6 : 0.5,
        color: by.name === "state" && name === "pruned" ? shade : colour("card"),
      };
      return trace;
    });
}

function drawMap() {
  const at = byId("map-epoch").value,
    by = MAP_COLOURS[Number(byId("map-colour").value)];
  const chosen = byId("map-trials").value === "complete" ? valued.filter(trial => trial.state === "complete") : valued;
  const trials = chosen.filter(trial => trial[at][0] !== null && trial[at][1] !== null);
  const x = trials.map(trial => trial[at][0]),
    y = trials.map(trial => trial[at][1]);
  const low = Math.min(...x, ...y),
    high = Math.max(...x, ...y);
  const diagonal = {
    type: "scatter",
    mode: "lines",
    x: [low, high],
    y: [low, high],
    hoverinfo: "skip",
    line: { color: colour("soft"), width: 1.2, dash: "dash" },
    showlegend: false,
  };
  const traces = by.category ? categoryTraces(trials, by, x, y) : [scatter(trials, x, y, null)];
  if (!by.category) traces[0].marker = { ...marker(trials, null), ...numericColours(trials, by) };
  const winner = trials.findIndex(trial => rankOf.get(trial.n) === 1);
  const ring =
    winner < 0
      ? []
      : [
          {
            type: "scatter",
            mode: "markers",
            x: [x[winner]],
            y: [y[winner]],
            hoverinfo: "skip",
            showlegend: false,
            marker: { size: 18, symbol: "circle-open", color: colour("best"), line: { width: 2.5 } },
          },
        ];
  const note =
    winner < 0
      ? []
      : [
          {
            x: x[winner],
            y: y[winner],
            text: "best: trial " + trials[winner].n,
            ax: -58,
            ay: D.study.maximize ? -22 : 22,
            arrowcolor: colour("best"),
            arrowwidth: 1.2,
            font: { size: 12 },
          },
        ];
  note.push({
    x: low + 0.3 * (high - low),
    y: low + 0.3 * (high - low),
    text: "no gap",
    showarrow: false,
    xanchor: "right",
    yanchor: "bottom",
    xshift: -6,
    font: { size: 11, color: colour("soft") },
  });
  const end = at === "atBest" ? ", best epoch" : ", last epoch";
  plot(byId("map-chart"), [diagonal, ...traces, ...ring], {
    xaxis: scoreAxis(D.study.trainMetric + end),
    yaxis: scoreAxis(D.study.metric + end),
    annotations: note,
    showlegend: Boolean(by.category),
  });
}

function showMap() {
  if (!byId("map")) return;
  byId("map-colour").append(...MAP_COLOURS.map((by, index) => el("option", { value: index }, clipped(by.name, 50))));
  const numComplete = valued.filter(trial => trial.state === "complete").length;
  if (numComplete < 3 || numComplete === valued.length) byId("map-trials").value = "all";
  byId("map-trials").parentElement.hidden = byId("map-trials").value === "all";
  for (const id of ["map-colour", "map-epoch", "map-trials"])
    byId(id).addEventListener("change", () => redraw(byId("map-chart")));
  lazily(byId("map-chart"), drawMap);
}
