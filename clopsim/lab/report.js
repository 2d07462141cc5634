// What the runs show, in words and numbers beside theory's. One run, or two side by side.
"use strict";
const report = (() => {
  const { $, show, rich, fixed } = text;
  const THIRD = {
    view: ["View cosine", "1: the two views agree", [-1, 1]], loss: ["Loss per point", "flat once settled", null],
    prototype: ["Prototype cosine", "1: on its prototype", [-1, 1]],
  };
  const FAR = 20; // as SimO's loss on one spot lies above a run's: beside it the curve would be a line
  const third = ({ loss, lambda }) => (losses[loss].views ? "view" : lambda > 0 ? "prototype" : "loss");
  const SUFFIX = ["", "-1"];

  // One number, or one for each run
  function numbers(id, values) {
    if (values.length === 1) return show(id, values[0]);
    if ($(id).textContent === values.join("") && $(id).children.length === values.length) return;
    $(id).replaceChildren(...values.map((value, k) =>
      Object.assign(document.createElement("span"), { className: `run-${k}`, textContent: value })));
  }

  // Where a run of a pair stands; where no complete collapse attracts there is no line to be below or above
  const side = ({ now, th }, k) => (th.collapse === null ? ["Slower", "Faster"][k] : now.rate < th.collapse ? "Below" : "Above");

  // What the line between two runs is
  function line({ now, th }, chosen) {
    if (chosen.network === "on") return "For weights of a network the line is 2(1 + β)/sharpness, the diamond ◆: measured on the loss as it is now, not fitted.";
    const from = `computed from ${losses[chosen.loss].timeless ? "" : `the temperature τ = ${+chosen.tau.toPrecision(3)} and `}the number of points n = ${chosen.n}, not fitted.`;
    const formula = chosen.momentum > 0 ? "τ(1\u00a0−\u00a0β²)(n\u00a0−\u00a01)/((1\u00a0−\u00a0β)(n\u00a0−\u00a01)\u00a0−\u00a01\u00a0−\u00a0β)" : "τ(n\u00a0−\u00a01)/(n\u00a0−\u00a02)";
    if (th.collapse !== null) return `The collapse rate μ_c = ${formula} = ${text.precise(th.collapse, 4)} is ${from}`;
    const lines = track.named(now, th).map(({ words, name, rate }) => `${words} above ${name} = ${text.precise(rate, 4)}`);
    return `${th.places ? "" : "Complete collapse attracts at no rate here. "}${lines.length ? `The lines (${lines.join(", ")}) are ${from}` : th.places ? "Theory names no rate here." : ""}`;
  }

  function paint(list, chosen, kept) {
    stale = true;
    const pair = list.length > 1, name = third(chosen), [title, small, limits] = THIRD[name];
    if ($("third-name").dataset.name !== name) {
      $("third-name").dataset.name = name;
      $("third-name").replaceChildren(title, Object.assign(document.createElement("small"), { textContent: small }));
    }
    show("directions", `of ${chosen.dim} directions`);
    const losses = list.flatMap(({ past, reading }) => past.records.map((row) => row.loss).concat(reading.loss)).filter(Number.isFinite);
    losses.push(...list.map(({ now }) => theory.lossAtCollapse(now)).filter((loss) => loss < Math.max(0, ...losses) + FAR));
    const most = Math.max(...losses), per = most < 10 ? 2 : 1; // marks are halves, or whole numbers where halves find no room
    const range = limits || [Math.floor(per * Math.min(...losses)) / per, Math.ceil(per * most) / per];
    for (const [id, key, span] of [["R", "R", [0, 1]], ["rank", "rank", [1, chosen.dim]], ["third", name, range]]) {
      charts.draw($("plot-" + id), [...list.map(({ past }) => past), ...(kept ? [kept] : [])], key, span);
      numbers("now-" + id, list.map(({ reading }) => fixed(reading[key])));
      numbers("theory-" + id, list.map(({ prediction: { [key]: value } }) => (value === null ? "–" : fixed(value, Number.isInteger(value) ? 0 : 3))));
    }
    const { now, reading, prediction, th } = list[0];
    show("now-count", String(now.count));
    show("now-loss", `${list.map((run) => fixed(run.reading.loss)).join(" and ")}, on one spot ${fixed(theory.lossAtCollapse(now))}`);
    show("now-norm", fixed(reading.norm) + (prediction.norm === null ? "" : ` on average, theory ${fixed(prediction.norm)}`));
    const effective = now.rate / reading.norm;
    show("now-effective", fixed(effective));
    const trained = chosen.network === "on";
    $("edge").hidden = !trained;
    if (trained) {
      const rates = list.flatMap((run) => [run.now.rate, ...run.past.records.map((row) => row.edge)]).filter(Number.isFinite);
      charts.draw($("plot-edge"), list.map(({ past }) => past), "edge", [0, Math.ceil(11 * Math.max(...rates)) / 10]);
      numbers("now-edge", list.map((run) => fixed(run.reading.edge)));
      numbers("theory-edge", list.map((run) => fixed(run.now.rate)));
      $("plot-edge").setAttribute("aria-label", `The rate up to which steps on the weights are stable, now ${list.map((run) => fixed(run.reading.edge)).join(" and ")}, beside the learning rate, ${list.map((run) => fixed(run.now.rate)).join(" and ")}`);
    }
    if (trained || chosen.gradient === "free") track.effective((trained ? reading.edge : effective) / th.unit, trained);
    list.forEach((run, k) => says(run, SUFFIX[k]));
    if (pair && list[1].prediction.text === list[0].prediction.text) show("theory-1", "The same.");
    show("head-0", pair ? side(list[0], 0) : "Theory");
    if (!pair) return;
    show("head-1", side(list[1], 1));
    rich("line", line(list[0], chosen));
    list.forEach((run, k) => {
      show(`caption-${k}`, side(run, k) + (trained ? "" : `: ${track.SAYS[run.prediction.phase]}`));
      const plain = run.th.collapse === run.th.unit; // then the slider's unit is the line
      rich(`factor-${k}`, plain ? `${+(run.now.rate / run.th.unit).toPrecision(3)} × μ_c` : `μ = ${text.precise(run.now.rate, 3)}`);
    });
  }

  function says({ prediction, reading }, suffix) {
    rich("theory" + suffix, prediction.text);
    show("badge" + suffix, reading.badge);
    $("badge" + suffix).className = `badge ${reading.verdict.replaceAll(" ", "-")}`;
    show("words" + suffix, reading.words + ".");
  }

  // One announcement per change of phase, once it has lasted; what the pictures show may change more often
  const LASTING = 400; // milliseconds
  let announced = "", candidate = "", since = 0, described = -LASTING, stale = true;
  function announce(list, chosen) {
    const time = performance.now();
    const phase = list.map(({ prediction, reading }) => [prediction.phase, reading.verdict, reading.state].join()).join(" ");
    if (phase !== candidate) [candidate, since] = [phase, time];
    if (stale && time - described >= LASTING) describe(list, chosen);
    if (phase === announced || time - since < LASTING) return;
    announced = phase;
    const sentence = (run, k) => (list.length > 1 ? `${side(run, k)}: ` : "") + `${run.prediction.text} Now: ${run.reading.words}; ${run.reading.verdict}.`;
    show("status", list.map(sentence).join(" "));
    describe(list, chosen);
  }

  // What the pictures show, in words
  function describe(list, chosen) {
    [described, stale] = [performance.now(), false];
    list.forEach(({ now, reading }, k) => {
      const seen = reading.gathered.words.map((words) => `; ${words}`).join("");
      $("sphere" + SUFFIX[k]).setAttribute("aria-label", `${now.n} points on a sphere: ${reading.words}${seen}`);
    });
    const both = (id) => [...$(id).children].map((node) => node.textContent).join(" and ") || $(id).textContent;
    for (const [id, name] of [["R", "Mean length R"], ["rank", "Effective rank"], ["third", THIRD[third(chosen)][0]]])
      $("plot-" + id).setAttribute("aria-label",
        `${name} over ${list[0].now.count} steps, now ${both("now-" + id)}, theory ${both("theory-" + id)}`);
  }

  return { paint, announce, describe, SUFFIX, get pending() { return stale || announced !== candidate; } };
})();
