// The learning-rate slider's track: what theory says happens where, and the thresholds between.
"use strict";
const track = (() => {
  const { LOW, HIGH } = ends; // log2 of the rate in units of mu_c
  const percent = (x) => (100 * (Math.log2(x) - LOW)) / (HIGH - LOW);
  const regions = document.getElementById("regions");
  const marks = document.getElementById("marks");
  const SAYS = { // of a phase
    even: "stays spread", between: "partly gathers", point: "falls onto one point", apart: "views come apart", either: "the start decides",
    classes: "classes gather", line: "falls onto a line", swap: "every point swaps", frame: "fills all directions", drift: "drifts to another frame", free: "does not collapse", restless: "stays restless", beside: "stays gathered", rescued: "pulled apart by class", open: "held by the prototypes", silent: "theory is silent",
  };
  const WITHOUT = { ...SAYS, even: "spreads if λ = 0", between: "", point: "collapses if λ = 0" }; // prototypes: the thresholds hold without them

  const put = (parent, className, text, left) => {
    const node = document.createElement("span");
    node.className = className;
    node.textContent = text;
    node.style.left = left + "%";
    parent.append(node);
    return node;
  };

  // Named thresholds of a setting, as rates, increasing: in words first, the symbol behind
  function named(s, th) {
    const list = [], add = (rate, name, words, says, rough = false) =>
      list.push({ rate, name, words, says: says + (rough ? ", roughly: n is too small to tell (T13)" : ""), rough });
    if (th.alignment !== null && th.alignment < Infinity)
      add(th.alignment, "μ_align", "views part", "the views of a sample come apart (T5)", th.tooSmall.alignment);
    if (th.uniform !== null)
      add(th.uniform, s.gradient !== "ambient" ? "μ_T" : s.loss === "merged" ? "μ_A" : "μ_U", "spread breaks",
        th.degree ? `the even spread breaks, degree ${th.degree} first (T5)` : "the even spread breaks: its points start to spin (T14)", th.tooSmall.uniform);
    for (const { above, below, edge = above === null ? null : above || below, mark } of th.places ?? [])
      if (mark && edge !== null && edge < Infinity) add(edge, ...mark);
    if (th.places) return list.sort((a, b) => a.rate - b.rate);
    if (th.held !== null && th.held < Infinity) add(th.held, "μ_P", "classes let go", "no class stays on a point beside its prototype (T29)");
    if (th.line !== null) add(th.line, "μ_line", "line attracts", "a line with antipodal views attracts (T12)");
    if (th.collapse !== null) add(th.collapse, "μ_c", "collapse rate", "complete collapse attracts (T4)");
    return list.sort((a, b) => a.rate - b.rate);
  }

  // What lies over the words of the regions, from left to right in pixels: the handle, the diamond, a mark that parts none
  let handle = null, diamond = null, crossing = [];
  const GAP = 4, WIDE = { one: 22, pair: 46 }, DIAMOND = 18; // pixels: of the style sheet

  // A region with its word; under it, whatever lies there
  function region(name, word, from, to) {
    const node = put(regions, `region ${name}`, "", from);
    node.style.width = to - from + "%";
    if (word) put(node, "word", word, 0);
  }

  // Every word in the middle of its region, or of the widest part of it that nothing covers; none where it has no room
  function settle() {
    const whole = regions.clientWidth, covered = [handle, diamond, ...crossing].filter(Boolean).map(([x, wide]) => [x - wide / 2, x + wide / 2]);
    const words = [...regions.querySelectorAll(".word")];
    words.forEach((word) => { word.hidden = false; });
    const sizes = words.map((word) => word.offsetWidth); // all at once: one layout
    words.forEach((word, k) => {
      const { left, width } = word.parentNode.style, start = (parseFloat(left) / 100) * whole, end = start + (parseFloat(width) / 100) * whole;
      const within = covered.filter(([a, b]) => b > start && a < end).sort(([a], [b]) => a - b);
      const stops = [[start, start], ...within, [end, end]], free = stops.slice(1).map(([a], j) => [Math.max(...stops.slice(0, j + 1).map(([, b]) => b)), a]);
      const room = ([a, b]) => b - a - 2 * GAP, middle = (start + end) / 2, clear = ([a, b]) => a + GAP <= middle - sizes[k] / 2 && middle + sizes[k] / 2 <= b - GAP;
      const [a, b] = free.some(clear) ? [start, end] : free.reduce((one, other) => (room(other) > room(one) ? other : one));
      word.hidden = room([a, b]) < sizes[k];
      word.style.left = (a + b) / 2 - start + "px";
    });
  }

  function draw(s, th, { x: held, view }) {
    regions.replaceChildren();
    marks.replaceChildren();
    const list = named(s, th).map((mark) => ({ ...mark, x: mark.rate / th.unit }));
    const inside = list.filter(({ x }) => percent(x) > 0 && percent(x) < 100);
    const edges = [2 ** LOW, ...inside.filter(({ rate }) => rate !== th.held).map(({ x }) => x), 2 ** HIGH]; // of regions without prototypes
    const tangent = s.gradient === "free" ? "tangent" : s.gradient; // there the track shows the effective rate
    let former = "";
    for (let k = 0; k + 1 < edges.length; k++) {
      const middle = Math.sqrt(edges[k] * edges[k + 1]);
      const { phase } = story.predict({ ...s, gradient: tangent, lambda: 0, rate: middle * th.unit }, th);
      const text = phase === former ? "spread breaks too" : (s.lambda > 0 ? WITHOUT : SAYS)[phase];
      region(phase, text, percent(edges[k]), percent(edges[k + 1]));
      former = phase;
    }
    // The last name stands to the right of its mark, the others to the left, with words where there is room; one that
    // would lie on its neighbour's goes right as well
    const pixels = (x) => (percent(x) / 100) * regions.clientWidth, end = inside.length - 1;
    let taken = 0; // up to where the track has names
    inside.forEach(({ x, name, words }, k) => {
      const [symbol, index] = name.split("_"), brief = 14 + 7 * index.length, at = pixels(x);
      const right = k === end || (at - taken < brief && pixels(inside[k + 1].x) - at > (k + 1 === end ? brief : 3 * brief));
      const room = k === end ? regions.clientWidth - at : right ? 0 : at - taken;
      const label = put(put(marks, "mark", "", percent(x)), right ? "name right" : "name left", "", 0);
      label.append(room > 9 * (words.length + 5) ? `${words} ` : "", symbol, Object.assign(document.createElement("sub"), { textContent: index }));
      taken = right ? at + brief : at;
    });
    if (th.paperEdge !== null)
      put(marks, "paper", "paper’s range 0 < μ < τ", 0).style.width = percent(th.paperEdge / th.unit) + "%";
    for (let k = LOW; k <= HIGH; k += 1) put(marks, k % 2 ? "tick minor" : "tick", k < 0 ? `1/${2 ** -k}` : String(2 ** k), percent(2 ** k));
    if (s.gradient === "free" || s.network === "on") put(marks, "effective", "◆", 50).id = "effective";
    handle = [pixels(held), WIDE[view]];
    crossing = inside.filter(({ rate }) => rate === th.held).map(({ x }) => [pixels(x), 2]);
    diamond = null;
    settle();
    return list;
  }

  // The effective rate mu/|u|^2 of a free norm, or a network's 2 (1 + beta)/sharpness, as a diamond on the track. That of
  // a network parts the track: below it steps are stable
  function effective(x, parts = false) {
    const node = document.getElementById("effective"), left = Math.max(0, Math.min(100, percent(x)));
    if (!node || !Number.isFinite(left)) return;
    const at = (left / 100) * regions.clientWidth;
    if (diamond && diamond[0] === at) return;
    node.style.left = left + "%";
    diamond = [at, DIAMOND];
    if (parts) {
      regions.replaceChildren();
      region("even", "stable steps", 0, left);
      region("between", "the outputs grow", left, 100);
    }
    settle();
  }

  return { draw, effective, named, SAYS };
})();
