// Curves of one trial: score above, loss below, training and validation, the gap shaded, best epoch and onset marked.
const hasCurve = trial => D.curveSets.some(set => trial.curves[set.id].some(curve => curve.length));
const epochsOf = trial =>
  trial.x ||
  Array.from(
    { length: Math.max(0, ...D.curveSets.flatMap(set => trial.curves[set.id].map(curve => curve.length))) },
    (_, i) => i,
  );

function curveTraces(trial, set, row) {
  const x = epochsOf(trial),
    [train, val] = trial.curves[set.id];
  const axes = { xaxis: "x", yaxis: row ? "y2" : "y" };
  const text = (name, values) => values.map((value, i) => `epoch ${x[i]}, ${name} ${score(value, set.percent)}`);
  const line = (name, values, shade, dash, more) => ({
    type: "scatter",
    mode: values.length > 1 ? "lines" : "markers",
    x,
    y: values,
    name,
    text: text(name, values),
    hoverinfo: "text",
    showlegend: row === 0,
    line: { color: shade, width: 2, dash },
    marker: { color: shade, size: 8 },
    ...axes,
    ...more,
  });
  const traces = [];
  if (train.length) traces.push(line("training", train, colour("train"), "dot"));
  if (val.length)
    traces.push(
      line(
        "validation",
        val,
        colour("val"),
        "solid",
        train.length ? { fill: "tonexty", fillcolor: colour("past") } : {},
      ),
    );
  return traces;
}

function curveMarks(trial) {
  const mark = (epoch, dash, shade) => ({
    type: "line",
    x0: epoch,
    x1: epoch,
    y0: 0,
    y1: 1,
    yref: "paper",
    line: { color: shade, width: 1.4, dash },
  });
  const shapes = [],
    annotations = [],
    last = Math.max(...epochsOf(trial), 1);
  const label = (epoch, text, y, shade) =>
    annotations.push({
      x: epoch,
      y,
      yref: "paper",
      text,
      showarrow: false,
      ...(epoch > 0.7 * last ? { xanchor: "right", xshift: -4 } : { xanchor: "left", xshift: 4 }),
      font: { size: 11, color: shade },
      bgcolor: colour("card"),
      opacity: 0.9,
    });
  if (trial.best !== null) {
    shapes.push(mark(trial.best, "dot", colour("soft")));
    label(trial.best, "best " + trial.best, 0.535, colour("soft"));
  }
  if (trial.onset !== null) {
    shapes.push(mark(trial.onset, "dash", colour("val")));
    label(trial.onset, "onset " + trial.onset, 0.455, colour("val"));
  }
  return { shapes, annotations };
}

function drawCurves(node, trial) {
  const sets = D.curveSets.filter(set => trial.curves[set.id].some(curve => curve.length));
  const last = Math.max(...epochsOf(trial), 1);
  const yaxis = (set, domain) =>
    axis(set.label, { domain, ...(set.percent ? { tickformat: ".3~%" } : {}), rangemode: "normal", nticks: 5 });
  plot(
    node,
    sets.flatMap((set, row) => curveTraces(trial, set, row)),
    {
      xaxis: axis("epoch", {
        range: [-0.02 * last, last * 1.02],
        anchor: sets.length > 1 ? "y2" : "y",
        dtick: last < 6 ? 1 : undefined,
      }),
      yaxis: yaxis(sets[0], sets.length > 1 ? [0.54, 1] : [0, 1]),
      ...(sets.length > 1 ? { yaxis2: yaxis(sets[1], [0, 0.46]) } : {}),
      ...curveMarks(trial),
      showlegend: true,
      hovermode: "closest",
      margin: { t: 26, r: 10, b: 44, l: 58 },
    },
  );
}

function showPicks() {
  if (!byId("curves")) return;
  for (const pick of D.picks) {
    const trial = trialOf.get(pick.trial);
    const chart = el("div", { class: "chart", "aria-label": `Curves of trial ${trial.n}` });
    const heading = D.trials.length === 1 ? "the only trial" : pick.roles.join(" and ");
    byId("picks").append(
      el(
        "div",
        { class: "pick" },
        el(
          "h3",
          {},
          `${heading[0].toUpperCase()}${heading.slice(1)}: ${D.trials.length === 1 ? "" : "trial "}${trial.n}, ${score(trial.value)}`,
        ),
        el("p", {}, tidy(pick.title)),
        chart,
      ),
    );
    if (hasCurve(trial)) lazily(chart, () => drawCurves(chart, trial));
    else empty(chart, "Its record holds no curve.");
  }
}

function inspect(n) {
  const trial = trialOf.get(n),
    panel = byId("inspector");
  const chart = el("div", { class: "chart", role: "img", "aria-label": `Curves of trial ${n}` });
  const rows = [
    [D.study.metric, score(trial.value)],
    ["gap at the best epoch", points(trial.gap)],
    ["overfit onset", String(valuesOf.onset(trial))],
    ["epochs", `${trial.epochs} of ${trial.max}`],
    ["time", seconds(trial.seconds)],
    ...(trial.again === null ? [] : [["same point as trial", String(trial.again)]]),
    ...D.params.map(param => [param.key, paramText(paramOf(trial, param))]),
  ];
  const failure = D.failures.find(group => group.trials.includes(n));
  panel.replaceChildren(
    el("button", { type: "button", class: "close", onclick: closeInspector, "aria-label": "Close" }, "Close"),
    el("h2", {}, "Trial " + n),
    el("span", { class: "state " + trial.state }, valuesOf.state(trial)),
    failure ? el("pre", {}, failure.message) : "",
    chart,
    el(
      "table",
      { class: "facts" },
      el("tbody", {}, ...rows.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", {}, value)))),
    ),
  );
  panel.hidden = false;
  if (hasCurve(trial)) drawCurves(chart, trial);
  else empty(chart, "No epoch was recorded.");
  inspect.redraw = () => {
    if (!panel.hidden && hasCurve(trial)) drawCurves(chart, trial);
  };
}

function closeInspector() {
  byId("inspector").hidden = true;
}
