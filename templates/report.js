"use strict";
// Maps: one tab stop each, arrow keys inside, the value in full below.
for (const table of document.querySelectorAll("[data-map]")) {
  const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.querySelectorAll("td")));
  const readout = table.closest(".mapset").querySelector("[data-readout-of]");
  const place = (cell) => {
    const column = table.tHead.rows[0].cells[cell.cellIndex].firstChild.textContent;
    return `${cell.parentElement.cells[0].title} at “${column}”: effect ${cell.textContent}`;
  };
  const show = (cell) => { if (cell) readout.textContent = cell.dataset.readout ?? place(cell); };
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

// Items: a page of rows at a time. The data is read when a list is first unfolded.
let data;
const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const minus = (text) => text.replace("-", "−");
const classes = { true: "said-true", false: "said-false" };

function list(details) {
  data ??= JSON.parse(document.getElementById("items").textContent);
  const table = details.querySelector("[data-items]");
  const form = details.querySelector(".filters");
  const pages = details.querySelector(".pages");
  const count = details.querySelector(".count");
  const heads = Array.from(table.tHead.rows[0].cells);
  const names = heads.slice(4).map((head) => head.textContent);
  const word = (at) => (at === null ? "" : data.words[at]);
  const rows = data.models[Number(table.dataset.items)].map(([item, said, outcome, scores, flagged, unstable]) => {
    const [suite, id, group, condition, pair, prompt, answer] = data.items[item];
    return {
      suite: word(suite), item: id, group: word(group), condition: word(condition), pair: word(pair), prompt, answer: word(answer),
      said: word(said), outcome: word(outcome), scores, flagged, unstable,
    };
  });
  for (const name of ["suite", "condition", "outcome"]) {
    const select = form.elements[name];
    for (const value of [...new Set(rows.map((row) => row[name]))].sort()) select.add(new Option(value, value));
  }
  let shown = rows;
  let page = 0;
  let order = { by: null, down: false };

  const draw = () => {
    const last = Math.max(Math.ceil(shown.length / data.page) - 1, 0);
    page = Math.min(Math.max(page, 0), last);
    const from = page * data.page;
    const some = shown.slice(from, from + data.page);
    table.tBodies[0].replaceChildren(...some.map(line));
    const of = shown.length === rows.length ? `${rows.length} items` : `${shown.length} that match, out of ${rows.length} items`;
    count.textContent = shown.length ? `${from + 1} to ${from + some.length} of ${of}` : `No item matches, out of ${rows.length}`;
    const ends = { first: page === 0, back: page === 0, on: page === last, last: page === last };
    for (const button of pages.children) button.disabled = ends[button.value];
    pages.dataset.last = last;
  };
  const line = (row) => {
    const made = element("tr");
    const head = element("th");
    head.scope = "row";
    head.append(element("code", row.item));
    const condition = element("td", `${row.condition} `);
    condition.dataset.label = "Condition";
    condition.append(element("span", row.suite, "kind"));
    const text = element("td", `${row.prompt} `, "text");
    text.append(element("b", row.said, `said ${classes[row.outcome] ?? "said-unclear"}`));
    if (row.answer && row.answer !== row.said) text.append(" ", element("span", `answer: ${row.answer}`, "kind"));
    const judged = element("td", row.outcome);
    judged.dataset.label = "Judged";
    made.append(head, condition, text, judged);
    names.forEach((name, at) => {
      const score = row.scores[at];
      const value = score === null || score === undefined ? "–" : minus(score.toFixed(2));
      const cell = element("td", row.flagged.includes(at) ? undefined : value, "num");
      if (row.flagged.includes(at)) cell.append(element("b", `${value} flagged`, "flag"));
      if (row.unstable.includes(at)) cell.append(" ", element("span", "unstable", "kind"));
      cell.dataset.label = name;
      made.append(cell);
    });
    return made;
  };
  const choose = () => {
    const wanted = Object.fromEntries(Array.from(form.elements, (field) => [field.name, field.value]));
    const text = wanted.text.trim().toLowerCase();
    const fits = (row) =>
      ["suite", "condition", "outcome"].every((name) => !wanted[name] || row[name] === wanted[name]) &&
      (!wanted.detectors || (wanted.detectors === "unstable" ? row.unstable.length > 0 : row.flagged.includes(Number(wanted.detectors)))) &&
      (!text || ["item", "group", "pair", "prompt", "said", "answer"].some((name) => row[name].toLowerCase().includes(text)));
    shown = rows.filter(fits);
    if (order.by !== null) {
      const key = (row) => (Number.isInteger(order.by) ? row.scores[order.by] ?? -Infinity : row[order.by]);
      shown.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const sign = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : Number(x > y) - Number(x < y);
        return order.down ? -sign : sign;
      });
    }
    page = 0;
    draw();
  };
  for (const head of heads) {
    const by = /^\d+$/.test(head.dataset.sort) ? Number(head.dataset.sort) : head.dataset.sort;
    const button = element("button", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => {
      order = { by, down: order.by === by && !order.down };
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      choose();
    });
    head.replaceChildren(button);
  }
  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  pages.addEventListener("click", (event) => {
    const to = { first: 0, back: page - 1, on: page + 1, last: Number(pages.dataset.last) }[event.target.value];
    if (to === undefined) return;
    page = to;
    draw();
    table.closest(".scroll").scrollTop = 0;
  });
  form.hidden = false;
  pages.hidden = false;
  draw();
  return (wanted) => {
    for (const field of form.elements) field.value = wanted[field.name] ?? "";
    choose();
  };
}

let printing = false;
const lists = new Map();
const unfolded = (details) => {
  if (!lists.has(details)) lists.set(details, list(details));
  return lists.get(details);
};
for (const details of document.querySelectorAll(".items")) {
  details.addEventListener("toggle", () => { if (details.open && !printing) unfolded(details); });
}

// A link shows what it leads to, folded or not; from a count it leads to the items that were counted.
const reveal = (target) => {
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
};
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
  if (!target) return;
  reveal(target);
  if (link.dataset.outcome) unfolded(target)(link.dataset);
});
const arrive = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) { reveal(target); target.scrollIntoView(); }
};
addEventListener("hashchange", arrive);
arrive();

// Paper shows every finding and its evidence.
let folded = [];
addEventListener("beforeprint", () => {
  printing = true;
  folded = Array.from(document.querySelectorAll(":is(.finding, .evidence, .fold, .limits):not([open])"));
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => {
  folded.forEach((details) => { details.open = false; });
  printing = false;
});
