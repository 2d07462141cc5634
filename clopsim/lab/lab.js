// The page: settings, controls, the loop, the address bar. The only file that holds state.
"use strict";
(() => {
  const { values: chosen, INITIAL, FIELDS, FACTORS, RESTARTS, valid, fromHash, stopFromHash, misread, toHash, hash } = settings;
  const { $, show, rich } = text;
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // ---- the runs: one, or two of the same points below and above the rate of the slider ------------------------------

  const UNTOUCHED = { view: "pair", x: 1, tau: 1.3, start: "random", speed: 4 }; // both ends within three seconds
  const both = [runs.create(), runs.create()];
  const balls = report.SUFFIX.map((suffix, k) => spheres.create($("sphere" + suffix), charts.TINTS[k]));
  let playing = false, glide = 1, owed = 0, restedAt = null, drawn = 0;

  const shown = () => (chosen.view === "pair" ? both : both.slice(0, 1));
  const setting = (k) => (chosen.view === "pair" ? { ...chosen, x: FACTORS[k] * chosen.x } : chosen);

  function reset() {
    shown().forEach((run, k) => run.restart(setting(k)));
    begin();
  }

  function begin() {
    glide = 1;
    owed = 0;
    restedAt = null;
    map.update(chosen);
  }

  function update() {
    shown().forEach((run, k) => run.change(setting(k)));
    restedAt = null;
    map.update(chosen);
  }

  let kept = null, shakes = 0; // a curve to compare with
  function keep() {
    kept = kept ? null : { ...both[0].past, records: [...both[0].past.records], kept: true };
    show("keep", kept ? "Forget the kept curve" : "Keep this curve");
    paint();
  }

  function shake() {
    shakes++;
    shown().forEach((run) => run.shake(physics.normals(1000 * chosen.seed + shakes))); // a pair is shaken alike
    paint();
    if (resting && !still.matches) play(true);
  }

  const advance = (steps) => shown().forEach((run) => run.advance(steps));

  // The visitor goes on with one run of the pair, from where it is
  function take(k) {
    if (k === 1) both.reverse();
    set({ view: "one", x: FACTORS[k] * chosen.x });
    $("x").focus({ preventScroll: true });
  }

  // ---- painting ---------------------------------------------------------------------------------------------------

  function paint() {
    shown().forEach((run) => run.read());
    paintSpheres();
    report.paint(shown(), chosen, chosen.view === "one" ? kept : null);
    timeline.paint(both[0]);
    report.announce(shown(), chosen);
  }

  function paintSpheres() {
    shown().forEach((run, k) => {
      if (!run.reading) return;
      const seen = run.drawn(glide), { n } = run.now;
      balls[k].draw({ ...seen, n, fixed: chosen.network === "on", classed: classed(), loss: chosen.loss, lambda: chosen.lambda, mean: physics.mean(seen.z, n) });
    });
    drawn++;
  }

  // ---- controls ---------------------------------------------------------------------------------------------------

  const LOG = { // sliders whose position is a logarithm
    x: [(v) => +(2 ** v).toPrecision(5), Math.log2], speed: [(v) => +(2 ** v).toPrecision(3), Math.log2],
    tau: [(v) => +(0.05 * 40 ** (v / 100)).toPrecision(3), (x) => (100 * Math.log(x / 0.05)) / Math.log(40)],
  };
  const CONTROLS = Object.keys(FIELDS).filter((name) => $(name)); // the view has buttons

  function paintControls() {
    for (const name of CONTROLS) {
      const value = LOG[name] ? LOG[name][1](chosen[name]) : chosen[name];
      if (document.activeElement !== $(name) || $(name).type !== "number") $(name).value = value;
    }
    document.body.dataset.view = chosen.view;
    const trained = chosen.network === "on";
    const rate = chosen.x * both[0].th.unit, { now, th } = both[0], list = track.draw(now, th, chosen);
    const above = list.filter((mark) => mark.rate <= rate).map(({ name }) => name);
    // A loss's own unit is a rate of tangent steps, and may bear the name of a mark that is not
    const tangent = th.places && chosen.gradient === "ambient" && list.some(({ name }) => name === th.unitName);
    const steps = [chosen.momentum > 0 ? "plain " : "", tangent ? "tangent " : ""].join("");
    const unit = `${th.unitName}${trained ? " of free points" : steps && ` of ${steps}steps`}`, units = `${+chosen.x.toPrecision(3)} × ${unit}`;
    rich("x-value", `μ = ${text.precise(rate, 3)}`);
    rich("x-units", chosen.view === "pair" ? `${units}, the spheres at ${FACTORS.join(" and ")} of it` : units);
    $("x").setAttribute("aria-valuetext", `learning rate ${text.precise(rate, 3)}, ${units}, ` +
      (above.length ? `above ${above.join(" and ")}` : "below every threshold") +
      `: ${shown().map((run) => run.prediction.text).join(" ")}`);
    const diamond = trained ? "◆ 2(1 + β)/sharpness: steps on the weights are stable below" : chosen.gradient === "free" ? "◆ the effective rate μ/|u|², which these thresholds judge" : "";
    text.list("thresholds", [...list.map(({ name, words, rate, says }) => `${words[0].toUpperCase()}${words.slice(1)}, ${name} = ${text.precise(rate, 4)}: ${says}`),
      diamond, `1 = ${unit} = ${th.unitFormula} = ${text.precise(th.unit, 4)}`].filter(Boolean));
    for (const name of ["tau", "n", "dim", "momentum", "lambda", "classes", "decay"]) show(name + "-value", String(+chosen[name].toPrecision(3)));
    paintWeight();
    $("speed").setAttribute("aria-valuetext", `${Math.round(chosen.speed)} steps per second`);
    const { name: called, about, timeless } = losses[chosen.loss];
    $("tau").disabled = Boolean(timeless);
    $("tau").closest("label").classList.toggle("off", $("tau").disabled);
    if (timeless) show("tau-value", "none in this loss");
    rich("about", about ? `${called}: ${about}` : "");
    $("decay").disabled = !trained && chosen.gradient !== "free";
    $("decay-label").classList.toggle("off", $("decay").disabled);
    $("gradient").disabled = $("start").disabled = trained; // autograd through the norm, from weights of its own
    document.body.dataset.network = chosen.network;
    $("shake").disabled = chosen.network === "on"; // its points are outputs, moved by its weights alone
    show("legend", [classed() ? `${ink.SHAPES.slice(0, chosen.classes).join(" ")} classes${chosen.lambda > 0 ? `, c₁ to c${ink.SUBSCRIPTS[chosen.classes - 1]} prototypes` : ""}` : "", losses[chosen.loss].views ? "filled, hollow: the two views" : "",
      "arrow: the mean", chosen.dim > 3 ? `the leading 3 of ${chosen.dim} directions` : "", flips() ? "drawn without the flip of each step" : ""].filter(Boolean).join(" · "));
  }
  // Beside the prototypes' weight: theory's critical one, as a mark on its slider and in words
  function paintWeight() {
    const [low, high] = [Number($("lambda").min), Number($("lambda").max)], words = story.kinds(chosen);
    const star = words ? theory.criticalWeight(chosen) : null, mark = $("lambda-mark");
    rich("kinds", words);
    mark.hidden = !(star > low && star < high);
    mark.style.left = `calc(8px + (100% - 16px) * ${(star - low) / (high - low)})`; // a thumb is 16 pixels wide
  }
  const classed = () => chosen.lambda > 0 || losses[chosen.loss].classed || chosen.network === "on"; // coloured by class or cluster
  const flips = () => chosen.loss === "merged" && chosen.gradient === "ambient" && chosen.lambda === 0 && chosen.x > 0.5 && chosen.network === "off";

  function set(wanted, { resume = false } = {}) {
    const found = valid(wanted), { more, why } = settings.fitting(found);
    Object.assign(found, more);
    const pairing = found.view === "pair" && chosen.view !== "pair";
    const changed = (name) => name in found && found[name] !== chosen[name];
    const restart = pairing || RESTARTS.some(changed) || (chosen.network === "on" && changed("classes")); // inputs come in clusters
    Object.assign(chosen, found);
    if (restart) reset(); else update();
    paintControls();
    paint();
    show("fits", why);
    show("misread", "");
    if (why) show("status", why);
    toHash();
    share.follow();
    if (resume && resting && !still.matches) play(true);
  }

  let resting = false; // paused by itself: the run had settled
  function play(on) {
    playing = on;
    resting = false;
    restedAt = null;
    show("play", on ? "Pause" : "Play");
  }

  for (const name of CONTROLS)
    $(name).addEventListener($(name).tagName === "SELECT" || $(name).type === "number" ? "change" : "input", () => {
      const value = $(name).value;
      set({ [name]: LOG[name] ? LOG[name][0](Number(value)) : value }, { resume: name !== "speed" });
    });
  $("play").addEventListener("click", () => play(!playing));
  $("step").addEventListener("click", () => { play(false); advance(1); glide = still.matches ? 1 : 0; paint(); });
  $("reset").addEventListener("click", () => { reset(); paint(); if (resting && !still.matches) play(true); });
  $("reseed").addEventListener("click", () => set({ seed: (chosen.seed % 9999) + 1 }, { resume: true }));
  $("keep").addEventListener("click", keep);
  $("shake").addEventListener("click", shake);
  timeline.listen((count) => { play(false); glide = 1; shown().forEach((run) => run.scrub(count)); paint(); });
  $("compare").addEventListener("click", () => { set({ view: "pair" }); play(!still.matches); $("x").focus({ preventScroll: true }); });
  both.forEach((_, k) => $(`take-${k}`).addEventListener("click", () => take(k)));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, summary")) return; // they have uses of their own for keys
    const button = { " ": "play", ".": "step", r: "reset" }[event.ctrlKey || event.metaKey || event.altKey ? "" : event.key];
    if (button) { $(button).click(); event.preventDefault(); }
  });

  // Open a stop of the tour with its preset, whatever was set before; what a link says besides comes on top
  function visit(stop, link = {}) {
    guide.open(stop);
    if (stop === null) return toHash();
    const { preset, play: starts } = tour[stop];
    play(false);
    set({ ...INITIAL, ...preset, ...link });
    reset();
    paint();
    $("card-title").focus({ preventScroll: true });
    $("card").scrollIntoView({ block: "nearest" });
    play(starts && !still.matches);
  }
  // What a button of the card asks for
  function apply({ set: wanted, restart = false, play: starts = false }) {
    set(wanted);
    if (restart) { reset(); paint(); }
    play(starts && !still.matches);
    if (!starts) $("step").focus({ preventScroll: true });
    document.querySelector(".hero").scrollIntoView({ block: "nearest" });
  }
  guide.build(visit, apply);

  // Do what the address says, whatever was set before; an address that says nothing shows both sides of the line
  function follow() {
    const stop = stopFromHash(), link = fromHash();
    if (stop !== null) visit(stop, link);
    else set({ ...INITIAL, ...(Object.keys(link).length ? link : UNTOUCHED) });
    show("misread", misread());
  }

  // ---- the loop: steps follow the clock, a frame never takes more than its share ------------------------------------

  const BUDGET = 9; // milliseconds of a frame for steps
  let last = 0;
  function frame(time) {
    requestAnimationFrame(frame);
    const seconds = Math.min(0.1, (time - last) / 1000);
    last = time;
    const looked = shown().map((run) => run.attend()).some(Boolean);
    if (!playing) {
      if (looked) paint();
      if (glide < 1) { glide = Math.min(1, glide + 3 * seconds); paintSpheres(); }
      else if (report.pending) report.announce(shown(), chosen);
      return;
    }
    owed += seconds * chosen.speed;
    const begun = performance.now();
    for (; owed >= 1 && performance.now() - begun < BUDGET; owed--) advance(1);
    owed = Math.min(owed, 1);
    glide = chosen.speed <= 24 ? owed : 1;
    spheres.drift(still.matches ? 0 : seconds);
    paint();
    if (!shown().every((run) => run.reading.settled)) restedAt = null;
    else if ((restedAt ??= time) && time - restedAt > 1500) { play(false); glide = 1; resting = true; paint(); }
  }

  spheres.onGrab = (i, at) => { shown().forEach((run) => run.place(i, at)); paint(); if (resting && !still.matches) play(true); };
  map.onPick = (wanted) => { set(wanted, { resume: true }); };
  spheres.onTurn = () => { if (both[0].reading) paint(); };
  ink.onForgotten = () => { map.draw(); paint(); };
  addEventListener("resize", () => { paintControls(); map.draw(); paint(); });
  addEventListener("hashchange", () => { if (location.hash.slice(1) !== hash()) follow(); });
  $("settings").open = innerWidth >= 700;
  reset();
  follow();
  report.describe(shown(), chosen);
  if (tour.open === null) play(!still.matches);
  requestAnimationFrame((time) => { last = time; frame(time); });

  const state = ({ now, th, prediction, reading: { z, gathered, ...numbers } }) => ({
    settings: { ...chosen }, thresholds: { ...th }, prediction: { ...prediction }, ...numbers, rate: now.rate, count: now.count, u: [...now.u],
    playing, drawn, camera: spheres.view,
  });
  window.clopsim = {
    step(steps = 1) { advance(steps); glide = 1; paint(); },
    set: (wanted) => set(wanted), reset() { reset(); paint(); }, play: () => play(true), pause: () => play(false), visit,
    load(u) { both[0].load(chosen, Float64Array.from(u)); begin(); paint(); },
    get state() { return state(both[0]); },
    get states() { return shown().map(state); },
    get records() { return both[0].past.records; }, hash, physics, theory, stability, outcome, story, verdict, ends, map, tour, track, gathering, network, losses, places,
  };
})();
