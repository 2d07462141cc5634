// The tour's row of stops and its card.
"use strict";
const guide = (() => {
  const { $, show, rich } = text;

  // Fill the row; visit(stop) is called with the number of a stop, or null to close the card
  function build(visit) {
    tour.forEach(({ name, theorem }, k) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.append(Object.assign(document.createElement("b"), { textContent: k + 1 }), " ", Object.assign(document.createElement("span"), { textContent: name }));
      button.setAttribute("aria-label", `${k + 1} ${name}, ${theorem}`); // on a phone the number alone is seen
      button.addEventListener("click", () => visit(k));
      item.append(button);
      $("stops").append(item);
    });
    $("card-close").addEventListener("click", () => { visit(null); $("stops").querySelector("button").focus(); });
  }

  function open(stop) {
    const found = stop !== null;
    tour.open = stop;
    $("card").hidden = !found;
    [...$("stops").querySelectorAll("button")].forEach((b, k) => { if (k === stop) b.setAttribute("aria-current", "step"); else b.removeAttribute("aria-current"); });
    if (!found) return;
    const { name, theorem, text, question } = tour[stop];
    show("card-title", `${name} (${theorem})`);
    rich("card-text", text);
    rich("card-question", question);
  }

  return { build, open };
})();
