// Fresh seeds and the test set.
function plainTable(header, rows) {
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...header.map((name, i) => el("th", i ? { scope: "col" } : { scope: "col", class: "text" }, name)))),
      el("tbody", {}, ...rows.map(row => el("tr", {}, ...row.map((cell, i) => el("td", i ? {} : { class: "text" }, cell))))),
    ),
  );
}

function confusionTable(look) {
  const rows = look.confusion.map((counts, right) => [
    look.names[right],
    ...counts.map(count => (count ? count.toLocaleString("en") : "·")),
  ]);
  return el(
    "details",
    {},
    el("summary", {}, "Confusion matrix: a line for each right class, a column for each class given"),
    plainTable(["", ...look.names], rows),
  );
}

function showPromotion() {
  if (!byId("promotion")) return;
  byId("promotion-body").append(
    ...D.promotion.said.map(text => el("p", {}, tidy(text))),
    plainTable(D.promotion.header, D.promotion.rows),
    ...D.promotion.looks.flatMap(look => [
      el("h3", { style: "margin-top: 1.5em" }, `Look ${look.number} at the test set`),
      ...look.said.map(text => el("p", {}, tidy(text))),
      ...(look.metrics.rows.length ? [plainTable(look.metrics.header, look.metrics.rows)] : []),
      ...(look.rows.length ? [plainTable(look.header, look.rows)] : []),
      ...(look.left ? [el("p", { class: "soft" }, `${look.left.toLocaleString("en")} more classes are recognised better.`)] : []),
      ...(look.confusion.length ? [confusionTable(look)] : []),
    ]),
  );
}
