// What it cost: score against cost, the epochs that pruning saved, and the slots' time line.
function drawTradeoff() {
  const tradeoff = D.tradeoffs[Number(byId("tradeoff-cost").value)],
    front = new Set(tradeoff.front);
  const trials = D.trials.filter(trial => tradeoff.costs[trial.n] !== undefined),
    values = trials.map(trial => trial.value),
    limits = scoreLimits(trials);
  const costs = trials.map(trial => tradeoff.costs[trial.n]);
  const dots = edged(
    scatter(
      trials,
      costs,
      held(values, limits),
      trials.map(trial => colour(front.has(trial.n) ? "train" : "pruned")),
    ),
    values,
    limits,
  );
  const line = {
    type: "scatter",
    mode: "lines",
    hoverinfo: "skip",
    line: { shape: "hv", color: colour("train"), width: 1.6 },
    x: tradeoff.front.map(n => tradeoff.costs[n]),
    y: held(
      tradeoff.front.map(n => trialOf.get(n).value),
      limits,
    ),
  };
  const unit = tradeoff.unit === "s" ? " (s)" : "",
    isWide = Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > 20;
  plot(byId("tradeoff-chart"), tradeoff.joint ? [dots] : [line, dots], {
    xaxis: axis(tradeoff.name + unit, { type: isWide ? "log" : "linear", ...(isWide ? { dtick: 1 } : {}) }),
    yaxis: scoreAxis(D.study.metric, { range: limits }),
    annotations:
      tradeoff.front.length > 14
        ? []
        : tradeoff.front.map(n => ({
            x: isWide ? Math.log10(tradeoff.costs[n]) : tradeoff.costs[n],
            y: held([trialOf.get(n).value], limits)[0],
            text: String(n),
            showarrow: false,
            yshift: 12,
            font: { size: 11 },
          })),
  });
}

function drawPruning() {
  const { steps, trials } = D.pruning;
  const epochs = steps.map(step => step[0]);
  const trained = {
    type: "scatter",
    mode: "lines",
    x: epochs,
    y: steps.map(step => step[1]),
    fill: "tozeroy",
    line: { color: colour("train"), shape: "hv", width: 2 },
    fillcolor: colour("train") + "30",
    name: "trained",
    text: steps.map(step => `${step[1]} of ${trials} trials trained for more than ${step[0]} epochs`),
    hoverinfo: "text",
  };
  const whole = {
    type: "scatter",
    mode: "lines",
    x: epochs,
    y: epochs.map(() => trials),
    fill: "tonexty",
    line: { width: 0 },
    fillcolor: colour("pruned") + "22",
    name: "not trained",
    hoverinfo: "skip",
  };
  plot(byId("pruning-chart"), [trained, whole], {
    xaxis: axis("epochs trained", { range: [0, Math.max(1, ...epochs)] }),
    yaxis: axis("trials still training", { rangemode: "tozero" }),
    showlegend: true,
    margin: { t: 26, r: 16, b: 44, l: 60 },
  });
}

function timelineShapes(line) {
  const ground = Array.from({ length: line.slots }, (_, slot) => ({
    type: "rect",
    x0: 0,
    x1: line.seconds,
    y0: slot - 0.42,
    y1: slot + 0.42,
    line: { width: 0 },
    fillcolor: colour("wash"),
    layer: "below",
  }));
  const pauses = line.pauses.map(([at]) => ({
    type: "line",
    x0: at,
    x1: at,
    y0: 0,
    y1: 1,
    yref: "paper",
    line: { color: colour("soft"), width: 1.2, dash: "dash" },
  }));
  return [...ground, ...pauses];
}

function timelineTrace(state, bars, showNumbers) {
  return {
    type: "bar",
    orientation: "h",
    name: state,
    base: bars.map(bar => bar[3]),
    x: bars.map(bar => Math.max(bar[4] - bar[3], 0)),
    y: bars.map(bar => bar[2]),
    width: 0.84,
    customdata: bars.map(bar => bar[0]),
    marker: {
      color: colour(state),
      opacity: state === "pruned" ? 0.6 : 0.85,
      line: { color: colour("card"), width: bars.length > 300 ? 0 : 1 },
    },
    text: showNumbers ? bars.map(bar => String(bar[0])) : undefined,
    textposition: "inside",
    insidetextanchor: "middle",
    insidetextfont: { color: colour("card"), size: 11 },
    textangle: 0,
    hovertext: bars.map(
      bar =>
        `trial ${bar[0]}${bar[1] ? ", attempt " + bar[1] : ""}: ${state}, ${bar[6]} epochs<br>${seconds(bar[3])} to ${seconds(bar[4])}, ${seconds(bar[4] - bar[3])} long`,
    ),
    hoverinfo: "text",
  };
}

function drawTimeline() {
  const node = byId("timeline-chart"),
    line = D.timeline;
  node.style.height = Math.min(620, 120 + 46 * line.slots) + "px";
  const states = [...new Set(line.bars.map(bar => bar[5]))].sort();
  const minutes = line.seconds > 600,
    unit = line.seconds > 4 * 3600 ? ["h", 3600] : minutes ? ["min", 60] : ["s", 1];
  const ticks = niceTicks(line.seconds / unit[1]);
  plot(
    node,
    states.map(state =>
      timelineTrace(
        state,
        line.bars.filter(bar => bar[5] === state),
        line.bars.length <= 150,
      ),
    ),
    {
      barmode: "overlay",
      uniformtext: { minsize: 10, mode: "hide" },
      shapes: timelineShapes(line),
      showlegend: true,
      margin: { t: 30, r: 16, b: 44, l: 60 },
      xaxis: axis(`time since the first attempt (${unit[0]})`, {
        range: [0, line.seconds || 1],
        tickvals: ticks.map(tick => tick * unit[1]),
        ticktext: ticks.map(String),
      }),
      yaxis: axis("slot", {
        tickvals: line.slots > 12 ? niceTicks(line.slots - 1) : Array.from({ length: line.slots }, (_, i) => i),
        range: [line.slots - 0.4, -0.6],
        showgrid: false,
        fixedrange: true,
      }),
      annotations: line.pauses.map(([at, length]) => ({
        x: at,
        y: 1,
        yref: "paper",
        yanchor: "bottom",
        text: "paused " + length,
        showarrow: false,
        font: { size: 11, color: colour("soft") },
      })),
    },
  );
}

function niceTicks(end) {
  const raw = end / 8 || 1,
    size = 10 ** Math.floor(Math.log10(raw)),
    step = size * [1, 2, 5, 10].find(factor => factor * size >= raw);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

function showCost() {
  if (byId("tradeoff")) {
    if (D.tradeoffs[0].joint)
      byId("tradeoff-how").textContent =
        "The coloured trials are the Pareto front: none is beaten in one metric without winning another.";
    byId("tradeoff-cost").append(
      ...D.tradeoffs.map((tradeoff, index) => el("option", { value: index }, tradeoff.name)),
    );
    byId("tradeoff-cost").addEventListener("change", event => {
      document.querySelector("#tradeoff h2").textContent = tidy(D.tradeoffs[Number(event.target.value)].title + ".");
      redraw(byId("tradeoff-chart"));
    });
    lazily(byId("tradeoff-chart"), drawTradeoff);
  }
  if (byId("pruning")) lazily(byId("pruning-chart"), drawPruning);
  if (byId("timeline")) lazily(byId("timeline-chart"), drawTimeline);
}
