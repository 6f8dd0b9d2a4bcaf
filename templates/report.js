"use strict";
// Maps: one tab stop each, arrow keys inside, the value in full below.
for (const table of document.querySelectorAll("[data-map]")) {
  const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.querySelectorAll("td")));
  const readout = table.closest(".mapset").querySelector("[data-readout-of]");
  const show = (cell) => { if (cell) readout.textContent = cell.dataset.readout; };
  if (!rows.length || !rows[0].length) continue;
  rows.flat().forEach((cell) => { cell.tabIndex = -1; });
  rows[0][0].tabIndex = 0;
  table.addEventListener("pointerover", (event) => show(event.target.closest("td")));
  table.addEventListener("focusin", (event) => show(event.target.closest("td")));
  table.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const from = event.target.closest("td");
    if (!move || !from) return;
    const row = rows.findIndex((cells) => cells.includes(from));
    const to = rows[row + move[0]]?.[rows[row].indexOf(from) + move[1]];
    if (!to) return;
    event.preventDefault();
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });
}
// Paper shows every finding and its evidence.
let folded = [];
addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll(":is(.finding, .evidence, .strips, .fold):not([open])"));
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
