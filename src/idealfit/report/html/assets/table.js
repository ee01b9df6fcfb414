// The leaderboard: sortable by any column, filtered by any text, a first page of rows until all are asked for.
const FIRST_ROWS = 20;
const board = { column: 0, descending: false, all: false, filter: "" };

const valuesOf = {
  state: trial => (trial.failure ? `${trial.state}: ${trial.failure}` : trial.state),
  onset: trial => (trial.onset === null ? (SCORED.has(trial.state) ? "none" : "–") : trial.onset),
};

const rankOf = new Map(valued.map((trial, index) => [trial.n, index + 1]));
const widestGap = Math.max(...D.trials.map(trial => trial.gap || 0), 1e-12);

function gapCell(trial) {
  const width = trial.gap > 0 ? ((2 * trial.gap) / widestGap).toFixed(2) : 0;
  return el("td", {}, trial.gap > 0 ? el("i", { class: "meter", style: `width:${width}em` }) : null, points(trial.gap));
}

// A score; of several folds or seeds, with how far they differ.
function spread(trial) {
  if (trial.value === null || trial.sd === null) return score(trial.value);
  return D.study.percent
    ? `${(100 * trial.value).toFixed(2)} ± ${(100 * trial.sd).toFixed(2)} %`
    : `${score(trial.value)} ± ${score(trial.sd)}`;
}

// A measure as a number, so that 12,345 stands after 950.
function sortable(text) {
  const value = Number(text.replaceAll(",", ""));
  return text === "" ? null : Number.isNaN(value) ? text : value;
}

const COLUMNS = [
  {
    name: "rank",
    sort: trial => rankOf.get(trial.n) ?? Infinity,
    cell: trial => el("td", {}, rankOf.get(trial.n) ?? "–"),
  },
  { name: "trial", sort: trial => trial.n, cell: trial => el("td", {}, String(trial.n)) },
  {
    name: "state",
    text: true,
    sort: valuesOf.state,
    cell: trial => el("td", { class: "text" }, el("span", { class: "state " + trial.state }, valuesOf.state(trial))),
  },
  {
    name: D.study.metric,
    sort: trial => trial.value,
    down: D.study.maximize,
    title: D.trials.some(trial => trial.sd !== null) ? "mean ± standard deviation over its folds or seeds" : null,
    cell: trial => el("td", {}, spread(trial)),
  },
  { name: "gap", title: "training better than validation, at the best epoch", sort: trial => trial.gap, cell: gapCell },
  {
    name: "onset",
    title: "epoch after which it overfits",
    sort: trial => trial.onset,
    cell: trial => el("td", {}, valuesOf.onset(trial)),
  },
  ...D.asked.map((name, index) => ({
    name,
    text: name === "breaks",
    sort: trial => sortable(trial.asked[index]),
    cell: trial => el("td", { class: name === "breaks" ? "text" : null }, trial.asked[index]),
  })),
  {
    name: "loss",
    title: "validation loss (bold colour) and training loss over the epochs",
    cell: trial => el("td", {}, hasCurve(trial) ? spark(trial) : ""),
  },
  ...D.params.map(param => ({
    name: param.short,
    title: param.key,
    text: param.kind === "category",
    sort: trial => paramOf(trial, param),
    cell: trial =>
      el(
        "td",
        {
          class: param.kind === "category" ? "text" : null,
          title: param.kind === "category" ? paramText(paramOf(trial, param)) : null,
        },
        paramText(paramOf(trial, param)),
      ),
  })),
  {
    name: "best epoch",
    sort: trial => trial.best,
    cell: trial => el("td", {}, trial.best === null ? "–" : String(trial.best)),
  },
  { name: "epochs", sort: trial => trial.epochs, cell: trial => el("td", {}, String(trial.epochs)) },
  { name: "time", sort: trial => trial.seconds, cell: trial => el("td", {}, seconds(trial.seconds)) },
];

function compare(a, b) {
  const missing = value => value === null || value === undefined || value === Infinity;
  if (missing(a) || missing(b)) return missing(a) - missing(b); // what is missing stays last, up or down
  const order =
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), "en", { numeric: true });
  return board.descending ? -order : order;
}

function rowText(trial) {
  return [trial.n, valuesOf.state(trial), score(trial.value), ...trial.params.map(paramText)].join(" ").toLowerCase();
}

function showRows() {
  const sort = COLUMNS[board.column].sort;
  const words = board.filter
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const kept = D.trials.filter(trial => {
    const text = rowText(trial);
    return words.every(word => text.includes(word));
  });
  const rows = [...kept].sort((a, b) => compare(sort(a), sort(b)));
  const visible = board.all ? rows : rows.slice(0, FIRST_ROWS);
  const body = el(
    "tbody",
    {},
    ...visible.map(trial =>
      el(
        "tr",
        { class: rankOf.get(trial.n) === 1 ? "best" : null, onclick: () => inspect(trial.n) },
        ...COLUMNS.map(column => column.cell(trial)),
      ),
    ),
  );
  byId("trials").querySelector("tbody")?.remove();
  byId("trials").append(body);
  byId("shown").textContent =
    kept.length < D.trials.length
      ? `${kept.length.toLocaleString("en")} of ${D.trials.length.toLocaleString("en")} trials`
      : "";
  byId("all-rows").hidden = visible.length === rows.length;
  byId("all-rows").textContent = `Show all ${rows.length.toLocaleString("en")}`;
}

function sortBy(index) {
  const column = COLUMNS[index];
  board.descending = board.column === index ? !board.descending : Boolean(column.down);
  board.column = index;
  showHead();
  showRows();
}

function showHead() {
  const cells = COLUMNS.map((column, index) =>
    el(
      "th",
      {
        scope: "col",
        class: column.text ? "text" : null,
        title: column.title || null,
        "aria-sort": index === board.column ? (board.descending ? "descending" : "ascending") : null,
      },
      column.sort
        ? el("button", { type: "button", onclick: () => sortBy(index) }, column.name)
        : el("button", { type: "button", disabled: true }, column.name),
    ),
  );
  byId("trials").querySelector("thead")?.remove();
  byId("trials").prepend(el("thead", {}, el("tr", {}, ...cells)));
}

function showLeaderboard() {
  showHead();
  showRows();
  byId("filter").addEventListener("input", event => {
    board.filter = event.target.value;
    showRows();
  });
  byId("all-rows").addEventListener("click", () => {
    board.all = true;
    showRows();
  });
}
