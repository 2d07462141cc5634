// Where runs end over temperature and learning rate: the numbers of the map. No page here, so a worker can run it.
"use strict";
const ends = (() => {
  const COLUMNS = 33, ROWS = 13, STEPS = 200;
  const REST = 1e-9; // change of a cosine below which the remaining steps change nothing to be seen
  const LOW = -4, HIGH = 4; // log2 of the rate in units of mu_c, as on the track
  const TAU = [0.05, 2];
  const rate = (column) => 2 ** (LOW + ((HIGH - LOW) * column) / (COLUMNS - 1));
  const tau = (row) => +(TAU[0] * (TAU[1] / TAU[0]) ** (row / (ROWS - 1))).toPrecision(3);

  // The coarse grid first, then what lies between, so that the whole map soon shows
  const STRIDES = [8, 4, 2, 1];
  const ORDER = STRIDES.flatMap((by) => [...Array(COLUMNS * ROWS).keys()].filter((k) => {
    const on = (stride) => (k % COLUMNS) % stride === 0 && Math.floor(k / COLUMNS) % stride === 0;
    return on(by) && (by === 8 || !on(2 * by));
  }));

  // The outcome of STEPS steps at a setting with its x and tau
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
    const alike = losses[setting.loss].timeless ? new Map() : null; // without a temperature all rows are
    for (const k of ORDER) {
      const column = k % COLUMNS, found = alike?.get(column) ?? end({ ...setting, x: rate(column), tau: tau(Math.floor(k / COLUMNS)) });
      alike?.set(column, found);
      yield [k, found];
    }
  }

  return { COLUMNS, ROWS, STEPS, STRIDES, LOW, HIGH, TAU, rate, tau, end, cells };
})();
