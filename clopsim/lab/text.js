// Text on the page: elements by their id, subscripts, written only where they change; and how every sentence writes numbers.
"use strict";
const text = (() => {
  const $ = (id) => document.getElementById(id);
  const show = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
  const nodes = (text) => text.split(/_([A-Za-zℓ]+)/).map((part, k) =>
    (k % 2 ? Object.assign(document.createElement("sub"), { textContent: part }) : part));
  // One item of a list for each text
  function list(id, texts) {
    if ($(id).dataset.text === texts.join("\n")) return;
    $(id).dataset.text = texts.join("\n");
    $(id).replaceChildren(...texts.map((text) => { const item = document.createElement("li"); item.append(...nodes(text)); return item; }));
  }
  // Text whose _c and the like become subscripts
  function rich(id, text) {
    if ($(id).dataset.text === text) return;
    $(id).dataset.text = text;
    $(id).replaceChildren(...nodes(text));
  }

  // Numbers with a minus sign, not a hyphen: of so many decimals, of two or a plain 0, of so many digits
  const fixed = (x, digits = 3) => (Number.isFinite(x) ? x.toFixed(digits).replace(/^-(?=[0.]+$)/, "").replace("-", "−") : "–");
  const two = (x) => (Math.abs(x) < 0.005 ? "0" : fixed(x, 2));
  const RAISED = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };
  function precise(x, digits = 3) {
    const [number, power] = x.toPrecision(digits).replace("e+", "e").split("e");
    return number.replace("-", "−") + (power ? ` × 10${[...power].map((sign) => RAISED[sign]).join("")}` : "");
  }

  return { $, show, nodes, rich, list, fixed, two, precise };
})();
