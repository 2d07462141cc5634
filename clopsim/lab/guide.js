// The tour's row of stops and its card: what the stop shows, a question, and buttons that do what it asks.
"use strict";
const guide = (() => {
  const { $, show, nodes, rich } = text;
  const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
  let on = {};

  // Fill the row. visit(stop) opens a stop, or closes the card for null; apply(try) does what a button of the card says
  function build(visit, apply) {
    on = { visit, apply };
    tour.forEach(({ name, theorem }, k) => {
      const item = made("li"), button = made("button");
      button.append(made("b", { textContent: k + 1 }), " ", made("span", { textContent: name }));
      button.setAttribute("aria-label", `${k + 1} ${name}, ${theorem}`); // on a phone the number alone is seen
      button.addEventListener("click", () => visit(k));
      item.append(button);
      $("stops").append(item);
    });
    $("card-close").addEventListener("click", () => { visit(null); $("stops").querySelector("button").focus(); });
    $("card-back").addEventListener("click", () => visit(tour.open - 1));
    $("card-next").addEventListener("click", () => visit(tour.open + 1));
  }

  function open(stop) {
    const found = stop !== null;
    tour.open = stop;
    $("card").hidden = !found;
    document.body.classList.toggle("touring", found);
    [...$("stops").querySelectorAll("button")].forEach((b, k) => { if (k === stop) b.setAttribute("aria-current", "step"); else b.removeAttribute("aria-current"); });
    if (!found) return;
    const { name, theorem, text, question, tries } = tour[stop];
    show("card-title", `${name} (${theorem})`);
    rich("card-text", text);
    rich("card-question", question);
    $("card-back").disabled = stop === 0;
    $("card-next").disabled = stop === tour.length - 1;
    $("card-tries").replaceChildren(...tries.map((one) => {
      const button = made("button");
      button.append(...nodes(one.label));
      button.setAttribute("aria-label", `Apply: ${one.label}`);
      button.addEventListener("click", () => on.apply(one));
      return button;
    }));
  }

  return { build, open };
})();
