// The page: settings, controls, the loop, the address bar. The only file that holds state.
"use strict";
(() => {
  const { values: chosen, FIELDS, RESTARTS, valid, fromHash, stopFromHash, toHash, hash } = settings;
  const { $, show, rich, fixed } = text;
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // ---- the run ----------------------------------------------------------------------------------------------------

  const run = runs.create();
  let playing = false, glide = 1, owed = 0, restedAt = null, drawn = 0;

  function reset() {
    run.restart(chosen);
    begin();
  }

  function begin() {
    glide = 1;
    owed = 0;
    restedAt = null;
    strip.update(chosen, run.th);
  }

  function update() {
    run.change(chosen);
    restedAt = null;
    strip.update(chosen, run.th);
  }

  const third = () => (chosen.loss === "full" ? "view" : chosen.lambda > 0 ? "prototype" : "loss");

  // ---- painting ---------------------------------------------------------------------------------------------------

  const THIRD = {
    view: ["View cosine", "1: the two views agree", [-1, 1]], loss: ["Loss per point", "flat once settled", null],
    prototype: ["Prototype cosine", "1: on its own axis", [-1, 1]],
  };

  function paint() {
    const reading = run.read(), { now, past, th, prediction } = run;
    paintSphere();
    const name = third(), [title, small, limits] = THIRD[name];
    if ($("third-name").dataset.name !== name) {
      $("third-name").dataset.name = name;
      $("third-name").replaceChildren(title, Object.assign(document.createElement("small"), { textContent: small }));
    }
    const losses = past.records.map((row) => row.loss).concat(reading.loss, theory.lossAtCollapse(now)).filter(Number.isFinite);
    const range = limits || [Math.floor(2 * Math.min(...losses)) / 2, Math.ceil(2 * Math.max(...losses)) / 2];
    for (const [id, key, span] of [["R", "R", [0, 1]], ["rank", "rank", [1, chosen.dim]], ["third", name, range]]) {
      charts.draw($("plot-" + id), past, key, span);
      show("now-" + id, fixed(reading[key]));
      show("theory-" + id, prediction[key] === null ? "–" : fixed(prediction[key], Number.isInteger(prediction[key]) ? 0 : 3));
    }
    show("directions", `of ${chosen.dim} directions`);
    show("now-count", String(now.count));
    show("now-loss", `${fixed(reading.loss)}, on one spot ${fixed(theory.lossAtCollapse(now))}`);
    show("now-norm", fixed(reading.norm) + (prediction.norm === null ? "" : ` on average, theory ${fixed(prediction.norm)}`));
    const effective = now.rate / reading.norm;
    show("now-effective", fixed(effective));
    if (chosen.gradient === "free") track.effective(effective / th.unit);
    rich("theory", prediction.text);
    show("badge", { "as predicted": "✓ As predicted", "not there yet": "… Not there yet", "not as predicted": "✕ Not as predicted", "no prediction": "" }[reading.verdict]);
    $("badge").className = reading.verdict.replaceAll(" ", "-");
    show("words", reading.words + ".");
    announce();
  }

  function paintSphere() {
    if (!run.reading) return;
    const seen = run.drawn(glide), { n } = run.now;
    sphere.draw({ ...seen, n, loss: chosen.loss, lambda: chosen.lambda, mean: physics.mean(seen.z, n) });
    drawn++;
  }

  // One announcement per change of phase, once it has lasted
  let announced = "", candidate = "", since = 0;
  function announce() {
    const { prediction, reading } = run;
    const phase = [prediction.phase, reading.verdict, reading.state].join();
    if (phase !== candidate) [candidate, since] = [phase, performance.now()];
    if (phase === announced || performance.now() - since < 400) return;
    announced = phase;
    const sentence = `${prediction.text} Now: ${reading.words}; ${reading.verdict}.`;
    show("status", sentence);
    describe();
  }

  // What the pictures show, in words
  function describe() {
    $("sphere").setAttribute("aria-label", `${run.now.n} points on a sphere: ${run.reading.words}`);
    for (const [id, name] of [["R", "Mean length R"], ["rank", "Effective rank"], ["third", THIRD[third()][0]]])
      $("plot-" + id).setAttribute("aria-label",
        `${name} over ${run.now.count} steps, now ${$("now-" + id).textContent}, theory ${$("theory-" + id).textContent}`);
  }

  // ---- controls ---------------------------------------------------------------------------------------------------

  const LOG = { // sliders whose position is a logarithm
    x: [(v) => +(2 ** v).toPrecision(5), Math.log2], speed: [(v) => +(2 ** v).toPrecision(3), Math.log2],
    tau: [(v) => +(0.05 * 40 ** (v / 100)).toPrecision(3), (x) => (100 * Math.log(x / 0.05)) / Math.log(40)],
  };

  function paintControls() {
    for (const name of Object.keys(FIELDS)) {
      const value = LOG[name] ? LOG[name][1](chosen[name]) : chosen[name];
      if (document.activeElement !== $(name) || $(name).type !== "number") $(name).value = value;
    }
    const { now, th, prediction } = run, list = track.draw(now, th);
    const above = list.filter(({ rate }) => rate <= now.rate).map(({ name }) => name);
    const units = `${+chosen.x.toPrecision(3)} × μ_c`;
    rich("x-value", `μ = ${now.rate.toPrecision(3)}`);
    rich("x-units", units);
    $("x").setAttribute("aria-valuetext", `learning rate ${now.rate.toPrecision(3)}, ${units}, ` +
      (above.length ? `above ${above.join(" and ")}` : "below every threshold") + `: ${prediction.text}`);
    rich("thresholds", list.map(({ name, rate, says }) => `${name} = ${rate.toPrecision(4)}: ${says}`).join(" · ") +
      (chosen.gradient === "free" ? " · ◆ the effective rate μ/|u|², which these thresholds judge" : "") + ` · 1 = μ_c = τ(n\u00a0−\u00a01)/(n\u00a0−\u00a02) = ${th.unit.toPrecision(4)} · thin strip: where ${strip.STEPS} steps from this start end`);
    for (const name of ["tau", "n", "dim", "momentum", "lambda", "decay"]) show(name + "-value", String(+chosen[name].toPrecision(3)));
    $("speed").setAttribute("aria-valuetext", `${Math.round(chosen.speed)} steps per second`);
    $("decay").disabled = chosen.gradient !== "free";
    $("decay-label").classList.toggle("off", chosen.gradient !== "free");
    show("legend", [chosen.lambda > 0 ? "● ■ ▲ classes, c₁ c₂ c₃ prototypes" : "", chosen.loss === "full" ? "filled, hollow: the two views" : "",
      "arrow: the mean", chosen.dim > 3 ? `the leading 3 of ${chosen.dim} directions` : "", flips() ? "drawn without the flip of each step" : ""].filter(Boolean).join(" · "));
  }
  const flips = () => chosen.loss === "merged" && chosen.gradient === "ambient" && chosen.lambda === 0 && chosen.x > 0.5;

  function set(wanted, { resume = false } = {}) {
    const found = valid(wanted);
    const restart = RESTARTS.some((name) => name in found && found[name] !== chosen[name]);
    Object.assign(chosen, found);
    if (restart) reset(); else update();
    paintControls();
    paint();
    toHash();
    if (resume && resting && !still.matches) play(true);
  }

  let resting = false; // paused by itself: the run had settled
  function play(on) {
    playing = on;
    resting = false;
    restedAt = null;
    show("play", on ? "Pause" : "Play");
  }

  for (const name of Object.keys(FIELDS))
    $(name).addEventListener($(name).tagName === "SELECT" || $(name).type === "number" ? "change" : "input", () => {
      const value = $(name).value;
      set({ [name]: LOG[name] ? LOG[name][0](Number(value)) : value }, { resume: name !== "speed" });
      paintControls();
    });
  $("play").addEventListener("click", () => play(!playing));
  $("step").addEventListener("click", () => { play(false); run.advance(1); glide = still.matches ? 1 : 0; paint(); });
  $("reset").addEventListener("click", () => { reset(); paint(); if (resting && !still.matches) play(true); });
  $("reseed").addEventListener("click", () => set({ seed: (chosen.seed % 9999) + 1 }, { resume: true }));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, summary")) return; // they have uses of their own for keys
    const button = { " ": "play", ".": "step", r: "reset" }[event.ctrlKey || event.metaKey || event.altKey ? "" : event.key];
    if (button) { $(button).click(); event.preventDefault(); }
  });

  // Open a stop of the tour with its preset; what a link says besides comes on top
  function visit(stop, link = {}) {
    const open = stop !== null;
    tour.open = stop;
    $("card").hidden = !open;
    [...$("stops").querySelectorAll("button")].forEach((b, k) => { if (k === stop) b.setAttribute("aria-current", "step"); else b.removeAttribute("aria-current"); });
    if (!open) return toHash();
    const { name, theorem, text, question, preset, play: starts } = tour[stop];
    show("card-title", `${name} (${theorem})`);
    rich("card-text", text);
    rich("card-question", question);
    play(false);
    set({ ...preset, seed: 1, ...link });
    reset();
    paint();
    $("card-title").focus({ preventScroll: true });
    play(starts && !still.matches);
  }
  tour.forEach(({ name, theorem }, k) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.append(Object.assign(document.createElement("b"), { textContent: k + 1 }), " ", Object.assign(document.createElement("span"), { textContent: name }));
    button.setAttribute("aria-label", `${k + 1} ${name}, ${theorem}`); // on a phone the number alone is seen
    button.addEventListener("click", () => visit(k));
    item.append(button);
    $("stops").append(item);
  });
  $("card-close").addEventListener("click", () => { visit(null); $("stops").querySelector("button").focus(); });

  function follow() {
    const stop = stopFromHash();
    if (stop === null) set(fromHash());
    else visit(stop, fromHash());
  }

  // ---- the loop: steps follow the clock, a frame never takes more than its share ------------------------------------

  const BUDGET = 9, SPARE = 1.5; // milliseconds of a frame: for steps; for the strip while a run plays
  let last = 0;
  function frame(time) {
    requestAnimationFrame(frame);
    const seconds = Math.min(0.1, (time - last) / 1000);
    last = time;
    if (!playing) {
      strip.work(BUDGET);
      if (glide < 1) { glide = Math.min(1, glide + 3 * seconds); paintSphere(); }
      else if (announced !== candidate) announce();
      return;
    }
    owed += seconds * chosen.speed;
    const begun = performance.now();
    for (; owed >= 1 && performance.now() - begun < BUDGET; owed--) run.advance(1);
    owed = Math.min(owed, 1);
    glide = chosen.speed <= 24 ? owed : 1;
    sphere.drift(still.matches ? 0 : seconds);
    paint();
    if (performance.now() - begun < SPARE / 2) strip.work(SPARE); // on a slow machine or with many points: once the run rests
    if (!run.reading.settled) restedAt = null;
    else if ((restedAt ??= time) && time - restedAt > 1500) { play(false); glide = 1; resting = true; paint(); }
  }

  sphere.onTurn = () => { if (run.reading) paint(); };
  addEventListener("resize", () => { paintControls(); paint(); });
  addEventListener("hashchange", () => { if (location.hash.slice(1) !== hash()) follow(); });
  $("settings").open = innerWidth >= 700;
  reset();
  follow();
  describe();
  if (tour.open === null) play(!still.matches); // one preset plays once: just above the bound
  requestAnimationFrame((time) => { last = time; frame(time); });

  window.clopsim = {
    step(steps = 1) { run.advance(steps); glide = 1; paint(); },
    set: (wanted) => set(wanted), reset() { reset(); paint(); }, play: () => play(true), pause: () => play(false), visit,
    load(u) { run.load(chosen, Float64Array.from(u)); begin(); paint(); },
    get state() {
      const { now, th, prediction, reading: { z, ...numbers } } = run;
      return { settings: { ...chosen }, thresholds: { ...th }, prediction: { ...prediction }, ...numbers, rate: now.rate,
        count: now.count, playing, drawn, u: [...now.u], camera: sphere.view };
    },
    get records() { return run.past.records; }, hash, physics, theory, story, strip, tour, track,
  };
})();
