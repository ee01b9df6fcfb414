// Parallel coordinates on a canvas: no WebGL, so it draws everywhere. Drag along an axis to keep the lines that pass there.
const MAX_AXES = 10,
  BOX = { top: 34, bottom: 26, side: 60 };
const brushes = new Map();
const scoreShare = new Map(
  valued.map((trial, index) => [trial.n, valued.length > 1 ? 1 - index / (valued.length - 1) : 1]),
);

function parallelAxes() {
  const limits = scoreLimits(valued, 0);
  const own = D.params.slice(0, MAX_AXES).map(param =>
    param.kind === "category"
      ? {
          name: param.short,
          share: trial => {
            const i = paramOf(trial, param) === null ? -1 : param.choices.indexOf(paramText(paramOf(trial, param)));
            return i < 0 ? null : param.choices.length > 1 ? i / (param.choices.length - 1) : 0.5;
          },
          ticks: param.choices.map((choice, i) => [
            param.choices.length > 1 ? i / (param.choices.length - 1) : 0.5,
            clipped(choice, 14),
          ]),
        }
      : numericAxis(param.short, trial => paramOf(trial, param), param.low, param.high, param.log, number, param.ticks),
  );
  return [
    ...own,
    numericAxis(
      D.study.metric,
      trial => trial.value,
      limits[0],
      limits[1],
      false,
      value => (D.study.percent ? (100 * value).toFixed(1) + " %" : number(value)),
    ),
  ];
}

function decades(low, high) {
  const inside = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power < high * 0.7; power++)
    if (10 ** power > low * 1.5) inside.push(10 ** power);
  return [low, ...inside, high];
}

function numericAxis(name, value, low, high, log, format, known = []) {
  const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high];
  const back = share => (log ? Math.exp(a + share * (b - a)) : a + share * (b - a));
  const share = trial => {
    const v = value(trial);
    return typeof v !== "number"
      ? null
      : b > a
        ? Math.min(1, Math.max(0, ((log ? Math.log(v) : v) - a) / (b - a)))
        : 0.5;
  };
  const forward = v => (b > a ? ((log ? Math.log(v) : v) - a) / (b - a) : 0.5);
  if (known.length || (log && b > a))
    return { name, share, ticks: (known.length ? known : decades(low, high)).map(v => [forward(v), format(v)]) };
  return { name, share, ticks: (b > a ? [0, 0.25, 0.5, 0.75, 1] : [0.5]).map(s => [s, format(back(s))]) };
}

function kept(trial, axes) {
  return [...brushes].every(([index, [low, high]]) => {
    const share = axes[index].share(trial);
    return share !== null && share >= low && share <= high;
  });
}

function drawLines(context, trials, axes, x, y, shade, alpha, width) {
  context.lineWidth = width;
  for (const trial of trials) {
    context.globalAlpha = alpha(trial);
    context.strokeStyle = shade(trial);
    context.beginPath();
    let down = false;
    axes.forEach((axis, i) => {
      const share = axis.share(trial);
      if (share === null) {
        down = false;
        return;
      }
      if (down) context.lineTo(x(i), y(share));
      else context.moveTo(x(i), y(share));
      down = true;
    });
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawAxes(context, axes, x, y) {
  context.textBaseline = "middle";
  axes.forEach((axis, i) => {
    context.strokeStyle = colour("soft");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x(i), y(0));
    context.lineTo(x(i), y(1));
    context.stroke();
    context.textAlign = i === axes.length - 1 ? "right" : "center";
    context.font = "600 12px system-ui, sans-serif";
    context.fillStyle = colour("ink");
    context.fillText(clipped(axis.name, 28), x(i) + (i === axes.length - 1 ? BOX.side : 0), 12);
    context.font = "11px system-ui, sans-serif";
    const isLast = i === axes.length - 1;
    context.textAlign = isLast ? "left" : "right";
    for (const [share, text] of axis.ticks) {
      context.strokeStyle = colour("card");
      context.lineWidth = 3;
      context.strokeText(text, x(i) + (isLast ? 7 : -7), y(share));
      context.fillText(text, x(i) + (isLast ? 7 : -7), y(share));
    }
    if (!brushes.has(i)) return;
    const [low, high] = brushes.get(i);
    context.fillStyle = colour("best");
    context.globalAlpha = 0.45;
    context.fillRect(x(i) - 6, y(high), 12, Math.max(2, y(low) - y(high)));
    context.globalAlpha = 1;
  });
}

function parallelFrame(canvas, axes) {
  const width = Math.max(canvas.parentElement.clientWidth, 2 * BOX.side + 110 * (axes.length - 1)),
    height = 380;
  const inner = height - BOX.top - BOX.bottom;
  return {
    width,
    height,
    inner,
    x: i => BOX.side + ((width - 2 * BOX.side) * i) / (axes.length - 1),
    y: share => BOX.top + (1 - share) * inner,
  };
}

function drawParallel() {
  const canvas = byId("parallel-canvas"),
    axes = parallelAxes(),
    frame = parallelFrame(canvas, axes),
    ratio = window.devicePixelRatio || 1;
  canvas.width = frame.width * ratio;
  canvas.height = frame.height * ratio;
  canvas.style.width = frame.width + "px";
  canvas.style.height = frame.height + "px";
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const worstFirst = [...valued].reverse(),
    inside = worstFirst.filter(trial => kept(trial, axes));
  const alpha = trial =>
    Math.min(0.3, 20 / inside.length) + Math.min(0.5, 120 / inside.length) * scoreShare.get(trial.n) ** 2;
  if (brushes.size)
    drawLines(
      context,
      worstFirst,
      axes,
      frame.x,
      frame.y,
      () => colour("line"),
      () => 0.5,
      1,
    );
  drawLines(context, inside, axes, frame.x, frame.y, trial => onScale(scoreShare.get(trial.n)), alpha, 1.4);
  if (inside.length)
    drawLines(
      context,
      inside.slice(-1),
      axes,
      frame.x,
      frame.y,
      () => colour("best"),
      () => 1,
      2.6,
    );
  drawAxes(context, axes, frame.x, frame.y);
  const best = inside[inside.length - 1];
  byId("parallel-count").textContent =
    `${inside.length.toLocaleString("en")} of ${valued.length.toLocaleString("en")} trials` +
    (best ? `; the best of them (heavy line): trial ${best.n}, ${score(best.value)}` : "");
  byId("parallel-clear").hidden = !brushes.size;
}

function brushing(canvas) {
  let active = null;
  const where = event => {
    const axes = parallelAxes(),
      frame = parallelFrame(canvas, axes);
    const gap = frame.x(1) - frame.x(0),
      index = Math.round((event.offsetX - BOX.side) / gap);
    return {
      index: Math.min(axes.length - 1, Math.max(0, index)),
      share: Math.min(1, Math.max(0, 1 - (event.offsetY - BOX.top) / frame.inner)),
    };
  };
  canvas.addEventListener("pointerdown", event => {
    active = where(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (!active) return;
    const here = where(event).share;
    brushes.set(active.index, [Math.min(active.share, here) - 0.01, Math.max(active.share, here) + 0.01]);
    drawParallel();
  });
  canvas.addEventListener("pointerup", event => {
    if (active && Math.abs(where(event).share - active.share) < 0.01) {
      brushes.delete(active.index);
      drawParallel();
    }
    active = null;
  });
  byId("parallel-clear").addEventListener("click", () => {
    brushes.clear();
    drawParallel();
  });
}

function showParallel() {
  if (!byId("parallel")) return;
  const canvas = byId("parallel-canvas");
  brushing(canvas);
  lazily(canvas, drawParallel);
  window.addEventListener("resize", () => redraw(canvas));
  if (D.params.length > MAX_AXES)
    canvas.parentElement.after(
      el("p", { class: "how" }, `The first ${MAX_AXES} of ${D.params.length} parameters, by importance.`),
    );
}
