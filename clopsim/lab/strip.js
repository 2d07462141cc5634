// The strip under the track: where runs from this start end, rate by rate, computed in the page while it has time.
// Theory stands above it on the track; here is what happens.
"use strict";
const strip = (() => {
  const CELLS = 49, STEPS = 200;
  const REST = 1e-9; // change of a cosine below which the remaining steps change nothing to be seen
  const PAUSE = 300; // milliseconds that settings must have stood still: a dragged slider is not followed
  const holder = document.getElementById("strip");
  const rate = (k) => 2 ** (track.LOW + ((track.HIGH - track.LOW) * k) / (CELLS - 1));
  // Every eighth cell first, then those between, so that the whole range soon shows
  const ORDER = [8, 4, 2, 1].flatMap((by) => [...Array(CELLS).keys()].filter((k) => k % by === 0 && (by === 8 || k % (2 * by))));
  const NAMES = {
    even: "evenly spread", between: "gathered or restless", point: "on one spot", apart: "views apart", line: "on a line",
    classes: "at the prototypes", diverged: "sent to the origin",
  };

  let setting = null, wanted = 0, start = null, cells = [], todo = [], run = null;

  // Forget what was computed if it was for other settings; the rate and the speed of the page do not count
  function update(chosen, th) {
    const { x, speed, ...rest } = chosen;
    const key = JSON.stringify(rest);
    if (setting && setting.key === key) return;
    setting = { key, chosen: rest, th };
    wanted = performance.now() + PAUSE;
    [start, run, todo, cells] = [null, null, [...ORDER], Array(CELLS).fill(null)];
    draw();
  }

  // Compute for some milliseconds; true while there is more to do
  function work(budget, hurried = false) {
    const begun = performance.now();
    if (!todo.length || (!hurried && begun < wanted)) return todo.length > 0;
    const { chosen, th } = setting, { n } = chosen;
    start ??= physics.start(chosen.start, { ...chosen, safeRate: th.safe });
    while (todo.length && performance.now() - begun < budget) {
      run ??= { ...chosen, rate: rate(todo[0]) * th.unit, u: start, count: 0, past: [] };
      const next = physics.step(run);
      run = { ...next, past: [run.u, ...run.past].slice(0, 2) };
      const still = run.count % 20 === 0 && physics.moved(physics.unit(run.past[0], n), physics.unit(run.u, n), n) < REST;
      if (!still && run.count < STEPS) continue;
      cells[todo.shift()] = outcome(run);
      run = null;
      draw();
    }
    return todo.length > 0;
  }

  function outcome({ u, past, n, loss, lambda }) {
    const [z, before, earlier] = [u, ...past].map((points) => physics.unit(points, n));
    const seen = physics.observe(z, n), state = story.outcome(z, n, loss, seen);
    if (state === "diverged" || state === "point") return state;
    if (lambda > 0 && seen.prototype > 0.8) return "classes";
    if (loss === "full" && seen.view < 0.95) return "apart";
    if (state === "line") return "line";
    const moving = story.motion(physics.moved(before, z, n), earlier ? physics.moved(earlier, z, n) : 2);
    return state === "even" && !moving ? "even" : "between";
  }

  // Neighbouring cells of one outcome, as [outcome, first, last]
  function stretches() {
    const list = [];
    cells.forEach((name, k) => {
      if (list.length && list.at(-1)[0] === name) list.at(-1)[2] = k;
      else list.push([name, k, k]);
    });
    return list;
  }

  function draw() {
    holder.replaceChildren(...stretches().map(([name, first, last]) => {
      const node = document.createElement("span");
      node.className = `region ${name ?? "unknown"}`;
      if (name) node.title = say([name, first, last]);
      const edge = (k) => Math.max(0, Math.min(100, (100 * k) / (CELLS - 1)));
      node.style.left = edge(first - 0.5) + "%";
      node.style.width = edge(last + 0.5) - edge(first - 0.5) + "%";
      return node;
    }));
    holder.setAttribute("aria-label", describe());
  }

  const say = ([name, first, last]) =>
    `${NAMES[name]} at ${rate(first).toPrecision(2)}${last > first ? ` to ${rate(last).toPrecision(2)}` : ""}`;

  function describe() {
    if (todo.length) return "Where runs from this start end at each learning rate: still computing";
    return `Where runs from this start end after ${STEPS} steps, learning rate in units of mu_c: ${stretches().map(say).join(", ")}`;
  }

  return { update, work, describe, finish: () => { work(Infinity, true); return [...cells]; }, rate, CELLS, STEPS };
})();
