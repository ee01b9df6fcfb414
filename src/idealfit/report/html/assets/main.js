// Everything in order.
startTheme();
hideEmptySections();
showHeadings();
showSummary();
showNavigation();
showPromotion();
showLeaderboard();
showSettings();
showAdvice();
showMap();
showPicks();
showMultiples();
showSearch();
showParallel();
showCost();
showFailures();
showReproduce();
(window.requestIdleCallback || setTimeout)(startPlotly);
document.addEventListener("keydown", event => {
  if (event.key === "Escape") closeInspector();
});
window.addEventListener("beforeprint", drawAll);
