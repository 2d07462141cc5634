// Where runs end over learning rate and temperature, or momentum where a loss has no temperature: the numbers of the map. No page here, so a worker can run it.
"use strict";
const ends = (() => {
  const COLUMNS = 33, ROWS = 13, STEPS = 200;
  const REST = 1e-9; // change of a cosine below which the remaining steps change nothing to be seen
  const LOW = -4, HIGH = 4; // log2 of the rate in units of mu_c, as on the track
  // What the map shows upwards: at is its value at a part of the height, from 0 to 1, and part the inverse
  const [LEAST, RATIO, HEAVIEST] = [0.05, 40, 0.95];
  const AXES = {
    tau: { words: "temperature τ", at: (part) => +(LEAST * RATIO ** part).toPrecision(3), part: (tau) => Math.log(tau / LEAST) / Math.log(RATIO), ticks: [0.05, 0.1, 0.2, 0.5, 1, 2] },
    momentum: { words: "momentum β", at: (part) => +(HEAVIEST * part).toPrecision(3), part: (beta) => beta / HEAVIEST, ticks: [0, 0.25, 0.5, 0.75, 0.95] },
  };
  const axis = ({ loss }) => (losses[loss].timeless ? "momentum" : "tau");
  const rate = (column) => 2 ** (LOW + ((HIGH - LOW) * column) / (COLUMNS - 1));
  const level = (setting, row) => AXES[axis(setting)].at(row / (ROWS - 1));

  // The coarse grid first, then what lies between, so that the whole map soon shows
  const STRIDES = [8, 4, 2, 1];
  const ORDER = STRIDES.flatMap((by) => [...Array(COLUMNS * ROWS).keys()].filter((k) => {
    const on = (stride) => (k % COLUMNS) % stride === 0 && Math.floor(k / COLUMNS) % stride === 0;
    return on(by) && (by === 8 || !on(2 * by));
  }));

  // The outcome of STEPS steps at a setting with its x
  function end(setting) {
    const { n } = setting, th = theory.thresholds(setting);
    const u = physics.start(setting.start, { ...setting, safeRate: th.safe });
    let run = { ...setting, rate: setting.x * th.unit, u, v: null, count: 0 }, before = u, earlier = u;
    while (run.count < STEPS) {
      [earlier, before] = [before, run.u];
      run = physics.step(run);
      if (run.count % 20 === 0 && physics.moved(physics.unit(before, n), physics.unit(run.u, n), n) < REST) break;
    }
    const [z, one, two] = [run.u, before, earlier].map((points) => physics.unit(points, n));
    const seen = physics.observe(z, n, run), state = outcome.state(z, n, run.loss, seen);
    if (state === "diverged" || state === "point") return state;
    if (run.lambda > 0 && seen.prototype > 0.8) return "classes";
    const moved = physics.moved(one, z, n), reading = { ...seen, ...outcome.classes(z, n, run), z, state, moved, loss: physics.lossPerAnchor(z, run) };
    const there = run.lambda > 0 ? null : th.places?.find((place) => places.reached(place, reading, run));
    if (there) return there.end ?? there.is;
    if (losses[run.loss].views && seen.view < 0.95) return "apart";
    if (state === "line") return "line";
    const moving = outcome.motion(moved, physics.moved(two, z, n));
    return state === "even" && !moving ? "even" : "between";
  }

  // Cell by cell, [number, outcome]
  function* cells(setting) {
    for (const k of ORDER) yield [k, end({ ...setting, x: rate(k % COLUMNS), [axis(setting)]: level(setting, Math.floor(k / COLUMNS)) })];
  }

  return { COLUMNS, ROWS, STEPS, STRIDES, LOW, HIGH, AXES, axis, rate, level, end, cells };
})();
