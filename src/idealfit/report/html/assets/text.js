// What is said in words: answer, figures, findings, failures, how to reproduce.
const OWN_TITLES = {
  leaderboard: () =>
    D.study.running ? "Standing now, best first" : valued.length ? "All trials, best first" : "All trials",
  curves: () =>
    D.picks.length === 1
      ? "How the trial learned"
      : D.picks.length
        ? "How the best, the median and the most overfit trial learned"
        : "No trial has a curve to show",
  advice: () => "What the trials advise",
  multiples: () => "Every trial's curves on the same axes",
  slices: () => "Where the good trials lie, parameter by parameter",
  reproduce: () => "Where it ran, and how to run it again",
};

function showSummary() {
  byId("name").textContent = D.study.name;
  if (!D.study.maximize && byId("map"))
    byId("map-how").textContent = byId("map-how").textContent.replace("below it", "above it");
  byId("question").textContent = D.study.question || "What did the study " + D.study.name + " find?";
  byId("answer").textContent = tidy(D.answer);
  if (D.study.running) {
    byId("running").hidden = false;
    byId("running").textContent =
      `Not finished: ${D.study.state}. This is how things stood when the report was made, ${D.study.made}.`;
  }
  byId("figures").append(
    ...D.figures.map(figure =>
      el(
        "div",
        { class: "figure" },
        el("b", {}, figure.value),
        el("span", {}, figure.label),
        el("small", {}, figure.note),
      ),
    ),
  );
  byId("findings").append(
    ...D.findings.map(finding =>
      el(
        "li",
        {},
        tidy(finding.text) + " ",
        el("a", { href: "#" + finding.section }, "see " + byId(finding.section).dataset.name.toLowerCase()),
      ),
    ),
  );
}

function showHeadings() {
  for (const section of document.querySelectorAll("section[data-name]")) {
    const own = OWN_TITLES[section.id];
    const title = own ? own() : D.titles[section.id] || section.dataset.name;
    section.prepend(el("p", { class: "kicker" }, section.dataset.name), el("h2", {}, tidy(title)));
    for (const chart of section.querySelectorAll(".chart, canvas")) chart.setAttribute("aria-label", title);
  }
}

function hideEmptySections() {
  const nothing = {
    promotion: !D.promotion,
    settings: !D.settings.rows.length,
    advice: !D.advice.length,
    map: !valued.some(trial => trial.atBest[0] !== null && trial.atBest[1] !== null),
    curves: !D.picks.length,
    multiples: !D.trials.some(hasCurve),
    history: valued.length < 2,
    importance: !valued.length || !D.keys.length || valued.length < 2,
    slices: valued.length < 2 || !D.keys.length,
    parallel: valued.length < 2 || D.keys.length < 2,
    tradeoff: !D.tradeoffs.length,
    pruning: !D.pruning.trials,
    timeline: !D.timeline,
    failures: !D.failures.length,
  };
  for (const [id, isEmpty] of Object.entries(nothing)) if (isEmpty) byId(id).remove();
}

function showNavigation() {
  const links = [...document.querySelectorAll("section[data-name]")].map(section =>
    el("a", { href: "#" + section.id }, section.dataset.nav || section.dataset.name),
  );
  byId("nav").append(...links);
  const here = new IntersectionObserver(
    entries => {
      for (const entry of entries) {
        const link = links.find(link => link.hash === "#" + entry.target.id);
        if (link && entry.isIntersecting) links.forEach(other => other.classList.toggle("here", other === link));
      }
    },
    { rootMargin: "-20% 0px -70% 0px" },
  );
  document.querySelectorAll("section[data-name]").forEach(section => here.observe(section));
}

function trialButtons(numbers, limit = 20) {
  const shown = numbers
    .slice(0, limit)
    .map(n => el("button", { type: "button", onclick: () => inspect(n) }, String(n)));
  return el(
    "span",
    { class: "numbers" },
    ...shown,
    numbers.length > limit ? ` and ${(numbers.length - limit).toLocaleString("en")} more` : "",
  );
}

function showAdvice() {
  if (!byId("advice")) return;
  byId("advice-list").append(
    ...D.advice.map(advice => el("li", {}, tidy(advice.text) + " ", trialButtons(advice.trials))),
  );
}

function showSettings() {
  if (!byId("settings")) return;
  const names = [...D.settings.keys, D.study.metric, "best trials", "best of"];
  byId("settings-table").append(
    el("thead", {}, el("tr", {}, ...names.map(name => el("th", { scope: "col" }, name)))),
    el(
      "tbody",
      {},
      ...D.settings.rows.map(row =>
        el(
          "tr",
          {},
          ...row.values.map(value => el("td", { class: "text" }, value)),
          el("td", {}, score(row.score)),
          el("td", {}, trialButtons(row.best, 5)),
          el("td", {}, String(row.trials)),
        ),
      ),
    ),
  );
}

function showFailures() {
  if (!byId("failures")) return;
  byId("failures-body").append(
    ...D.failures.map(group =>
      el(
        "div",
        {},
        el("h3", {}, `${group.trials.length.toLocaleString("en")} × ${group.kind}`),
        el(
          "p",
          { class: "soft" },
          group.cure ? group.cure + " " : "",
          "Trials ",
          trialButtons(group.trials),
          group.log ? ". Log of the first: " + group.log : "",
        ),
        el("pre", {}, group.message),
      ),
    ),
  );
}

function command(what, text) {
  const copy = el(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          copy.textContent = "Copied";
        } catch {
          copy.textContent = "Select it by hand";
        }
      },
    },
    "Copy",
  );
  return el(
    "div",
    {},
    el("p", { class: "soft", style: "margin:0" }, what),
    el("pre", { class: "line" }, el("code", {}, text), copy),
  );
}

function showReproduce() {
  const facts = el(
    "table",
    { class: "facts" },
    el("tbody", {}, ...D.environment.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", {}, value)))),
  );
  byId("reproduce-body").append(
    el(
      "div",
      { class: "two" },
      el(
        "div",
        {},
        ...D.reproduce.map(([what, text]) => command(what, text)),
        el("details", {}, el("summary", {}, "Config of the best trial"), el("pre", {}, D.config)),
      ),
      facts,
    ),
  );
  byId("notes").append(
    ...D.notes.map(note => el("p", {}, note)),
    el(
      "p",
      {},
      `Made ${D.study.made} from the study's records alone. The page holds everything it shows and asks the network for nothing.`,
    ),
  );
}
