// Text on the page: elements by their id, numbers and subscripts, written only where they change.
"use strict";
const text = (() => {
  const $ = (id) => document.getElementById(id);
  const show = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
  const nodes = (text) => text.split(/_([A-Za-zℓ]+)/).map((part, k) =>
    (k % 2 ? Object.assign(document.createElement("sub"), { textContent: part }) : part));
  // Text whose _c and the like become subscripts
  function rich(id, text) {
    if ($(id).dataset.text === text) return;
    $(id).dataset.text = text;
    $(id).replaceChildren(...nodes(text));
  }
  const fixed = (x, digits = 3) => (Number.isFinite(x) ? x.toFixed(digits).replace("-", "−") : "–");

  return { $, show, nodes, rich, fixed };
})();
