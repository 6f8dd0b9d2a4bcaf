"use strict";
// A text is one tab stop; arrow keys go from active token to active token, and the number is said above.
for (const text of document.querySelectorAll("[data-context]")) {
  const tokens = Array.from(text.querySelectorAll(".t"));
  const said = text.closest(".feature").querySelector("output");
  let at = -1;
  const go = (to) => {
    tokens[at]?.classList.remove("at");
    at = to;
    const token = tokens[at];
    token?.classList.add("at");
    said.textContent = token ? `${token.textContent.trim()}: ${token.title}` : "";
  };
  const peak = () => tokens.findIndex((token) => token.classList.contains("peak"));
  text.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !tokens.length) return;
    event.preventDefault();
    go(at < 0 ? peak() : Math.min(tokens.length - 1, Math.max(0, at + step)));
  });
  text.addEventListener("blur", () => go(-1));
}
// Paper shows the weaker texts too.
addEventListener("beforeprint", () => document.querySelectorAll(".fold").forEach((fold) => { fold.open = true; }));
