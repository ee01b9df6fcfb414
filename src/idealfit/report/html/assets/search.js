// The search: how the best score came, which parameter matters, and where along each the good trials lie.
function held(values, limits) {
  const room = 0.025 * (limits[1] - limits[0]);
  return values.map(value => (value < limits[0] ? limits[0] + room : value > limits[1] ? limits[1] - room : value));
}

// Points beyond the axis sit on its edge as triangles; their true score is in the hover text.
function edged(trace, values, limits) {
  const { symbol, size, line } = trace.marker;
  const beyond = values.map(value => value < limits[0] || value > limits[1]);
  trace.marker.symbol = values.map((value, i) =>
    beyond[i] ? (value < limits[0] ? "triangle-down" : "triangle-up") : symbol[i],
  );
  trace.marker.size = beyond.map(isBeyond => (isBeyond ? 7 : size));
  trace.marker.line = { ...line, width: line.width.map((width, i) => (beyond[i] ? 0 : width)) };
  return trace;
}

function drawHistory() {
  const trials = [...valued].sort((a, b) => a.n - b.n),
    values = trials.map(trial => trial.value),
    limits = scoreLimits(trials);
  const dots = edged(
    scatter(
      trials,
      trials.map(trial => trial.n),
      held(values, limits),
      trials.map(trial => colour(trial.state)),
    ),
    values,
    limits,
  );
  const steps = {
    type: "scatter",
    mode: "lines",
    x: [],
    y: [],
    hoverinfo: "skip",
    line: { shape: "hv", color: colour("best"), width: 2.2 },
  };
  let best = null;
  for (const trial of trials.filter(trial => trial.state === "complete" || !scored.length)) {
    if (best === null || (D.study.maximize ? trial.value > best : trial.value < best)) best = trial.value;
    steps.x.push(trial.n);
    steps.y.push(best);
  }
  if (steps.x.length) {
    steps.x.push(Math.max(...D.trials.map(trial => trial.n)));
    steps.y.push(best);
  }
  const failed = D.trials.filter(trial => trial.state === "failed");
  const rug = scatter(
    failed,
    failed.map(trial => trial.n),
    held(
      failed.map(() => (D.study.maximize ? -Infinity : Infinity)),
      limits,
    ),
    colour("failed"),
  );
  plot(byId("history-chart"), [steps, dots, rug], {
    xaxis: axis("trial"),
    yaxis: scoreAxis(D.study.metric, { range: limits }),
  });
}

function drawImportance() {
  const node = byId("importance-chart");
  if (!D.importance.length) return empty(node, "");
  const bars = D.importance.slice(0, 15).reverse();
  const names = bars.map(bar => plain(clipped(bar[0], 44)));
  node.style.height = 90 + 30 * bars.length + "px";
  plot(
    node,
    [
      {
        type: "bar",
        orientation: "h",
        y: names.map((_, i) => i),
        x: bars.map(bar => bar[1]),
        width: 0.62,
        marker: { color: colour("train") },
        hoverinfo: "text",
        textposition: "none",
        text: bars.map(
          (bar, i) =>
            `${names[i]}: ${Math.round(100 * bar[1])} % (${Math.round(100 * bar[2])} to ${Math.round(100 * bar[3])} %)`,
        ),
        error_x: {
          type: "data",
          symmetric: false,
          array: bars.map(bar => bar[3] - bar[1]),
          arrayminus: bars.map(bar => bar[1] - bar[2]),
          color: colour("ink"),
          thickness: 1.4,
          width: 5,
        },
      },
    ],
    {
      xaxis: axis("share of the importance", { tickformat: ".0%", rangemode: "tozero" }),
      yaxis: axis("", { tickvals: names.map((_, i) => i), ticktext: names, showgrid: false }),
      margin: { t: 8, r: 16, b: 44, l: 60 },
    },
  );
}

function sliceAxis(param) {
  if (param.kind === "category") {
    const texts = param.choices.map(choice => plain(clipped(choice, 16)));
    return axis(param.key, { tickvals: texts.map((_, i) => i), ticktext: texts, range: [-0.6, texts.length - 0.4] });
  }
  if (param.ticks.length) {
    const room = param.log ? 1.15 : (param.high - param.low) * 0.06 || 1;
    const range = param.log
      ? [Math.log10(param.low / room), Math.log10(param.high * room)]
      : [param.low - room, param.high + room];
    return axis(param.key, {
      type: param.log ? "log" : "linear",
      tickvals: param.ticks,
      ticktext: param.ticks.map(tick => number(tick)),
      range,
    });
  }
  return axis(param.key, {
    type: param.log ? "log" : "linear",
    ...(param.log
      ? { dtick: 1 / (param.high / param.low < 100 ? 3 : 1), exponentformat: "power", tickformat: "~g" }
      : {}),
  });
}

const jitter = trial => (((trial.n * 0.618034) % 1) - 0.5) * 0.36; // golden-ratio steps: even, and the same at every drawing

// A value of a short list, moved aside a little, so that points on the same value can be told apart.
function besides(value, param, aside) {
  const ticks = param.ticks;
  if (ticks.length < 2 || D.trials.length < 20) return value;
  return param.log ? value * (ticks[1] / ticks[0]) ** (aside * 0.7) : value + (ticks[1] - ticks[0]) * aside * 0.7;
}

function slicePlace(trial, param) {
  const value = paramOf(trial, param);
  if (param.kind !== "category") return typeof value === "number" ? besides(value, param, jitter(trial)) : null;
  const index = value === null ? -1 : param.choices.indexOf(paramText(value));
  return index < 0 ? null : index + jitter(trial);
}

function drawSlice(node, param) {
  const trials = valued.filter(trial => slicePlace(trial, param) !== null),
    limits = scoreLimits(valued);
  const values = trials.map(trial => trial.value),
    last = Math.max(1, ...trials.map(trial => trial.n));
  const dots = edged(
    scatter(
      trials,
      trials.map(trial => slicePlace(trial, param)),
      held(values, limits),
      trials.map(trial => onScale(trial.n / last)),
    ),
    values,
    limits,
  );
  const winner = trials.find(trial => rankOf.get(trial.n) === 1);
  const ring = winner
    ? [
        {
          type: "scatter",
          mode: "markers",
          x: [slicePlace(winner, param)],
          y: [winner.value],
          hoverinfo: "skip",
          marker: { size: 16, symbol: "circle-open", color: colour("best"), line: { width: 2.2 } },
        },
      ]
    : [];
  const ends =
    param.kind === "number" && param.known
      ? [param.low, param.high].map(end => ({
          type: "line",
          x0: end,
          x1: end,
          y0: 0,
          y1: 1,
          yref: "paper",
          line: { color: colour("soft"), width: 1, dash: "dash" },
        }))
      : [];
  plot(node, [dots, ...ring], {
    xaxis: sliceAxis(param),
    yaxis: scoreAxis(D.study.metric, { range: limits }),
    shapes: ends,
    margin: { t: 8, r: 12, b: 44, l: 60 },
  });
}

function showSearch() {
  if (byId("history")) lazily(byId("history-chart"), drawHistory);
  if (byId("importance")) lazily(byId("importance-chart"), drawImportance);
  if (!byId("slices")) return;
  for (const param of D.params.slice(0, D.slices)) {
    const chart = el("div", { class: "chart", "aria-label": param.title });
    byId("slices-grid").append(
      el(
        "div",
        {},
        el("h3", {}, param.key),
        el("p", { class: "soft" }, tidy(param.title)),
        chart,
        param.boundary ? el("p", { class: "edge" }, param.boundary) : "",
      ),
    );
    lazily(chart, () => drawSlice(chart, param));
  }
  if (D.params.length > D.slices)
    byId("slices-grid").after(
      el("p", { class: "how" }, `The first ${D.slices} of ${D.params.length} parameters, by importance.`),
    );
}
