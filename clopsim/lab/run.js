// One run: its points, its past, what theory says of it and what it shows. No drawing; the page may hold several.
"use strict";
const runs = (() => {
  const EVERY = 25; // steps between two looks at a network's sharpness
  const WORK = 60_000; // points times weights of the products with the Hessian that a step may take: a few milliseconds
  const SHARPENS = ["tau", "loss", "lambda", "prototypes", "momentum", "decay"]; // what a network's stable rate depends on besides its weights
  const KEPT = 40; // steps that "settled" and averages look back on

  function create() {
    let chosen, th, now, before, earlier, flip, beforeFlip, past, since, queued, prediction, reading, frame, edge, watched, moments, stride;

    function physical() {
      const { x, ...rest } = chosen; // x of a run is what goes into its network
      return { ...rest, rate: x * th.unit };
    }
    const onSphere = (u) => (chosen.gradient === "free" || now?.w ? u : physics.unit(u, chosen.n));
    const directions = (u) => physics.unit(u, now.n);

    // Begin anew: from the start that the settings name, or from given points
    function restart(setting) {
      load(setting, physics.start(setting.start, { ...setting, safeRate: theory.thresholds(setting).safe }));
    }

    function load(setting, u) {
      chosen = { ...setting };
      th = theory.thresholds(chosen);
      now = { ...physical(), v: null, count: 0 };
      if (chosen.network === "on") Object.assign(now, network.begin(chosen)); // its outputs, not the given points
      else now.u = onSphere(u);
      edge = watched = null;
      before = earlier = now.u;
      flip = beforeFlip = 1;
      frame = null;
      past = charts.newHistory();
      since = verdict.newPast(directions(now.u), now);
      [moments, stride] = [[], 1];
      queued = [];
      predict();
      record();
    }

    // Settings have changed: the points stay where they are, but for a collapsed state that they set free
    function change(setting) {
      const former = now;
      const sharpens = SHARPENS.some((name) => setting[name] !== chosen[name]);
      chosen = { ...setting };
      th = theory.thresholds(chosen);
      now = { ...now, ...physical() };
      const kept = former.gradient === "free" && !now.w ? onSphere(now.u) : now.u;
      now.u = verdict.loosened(kept, former, now);
      if (now.w && sharpens) watched = { ...begun(), soon: true }; // what is known stands until it is done
      since = verdict.newPast(directions(now.u), now, now.u !== kept);
      if (chosen.lambda > 0) flip = beforeFlip = 1;
      queued = [];
      predict();
    }

    function predict() {
      const columns = chosen.lambda > 0 && chosen.gradient === "ambient";
      const from = now.count > 0 ? before : now.u; // T7 speaks of the step that has just been made
      const column = columns ? Math.max(...physics.columnSums(directions(from), now)) : 1;
      prediction = story.predict(now, th, Number.isFinite(column) ? column : 1);
      prediction.loss ??= prediction.phase === "point" ? theory.lossAtCollapse(now) : null;
      prediction.rescue = theory.rescue(now, column);
    }

    function record() {
      const seen = { ...physics.observe(directions(now.u), now.n, now), norm: squaredNorm() };
      const { R, rank, view, prototype, loss } = prediction;
      if (now.w) watch();
      charts.push(past, { count: now.count, ...seen, edge: edge ?? NaN, loss: NaN, predicted: { R, rank, view, prototype, loss, edge: now.w ? now.rate : null } });
      queued.push(seen);
      if (queued.length > KEPT) queued.shift();
      remember();
    }

    // For the timeline: where everything was, thinned out as the history is
    const ROOM = 400;
    const moment = () => ({ count: now.count, then: now, flip });
    function remember() {
      if (now.count % stride) return;
      moments.push(moment());
      if (moments.length < ROOM) return;
      stride *= 2;
      moments = moments.filter(({ count }) => count % stride === 0);
    }

    // Look at an earlier step, or the nearest that is remembered; the next step goes on from there
    function scrub(count) {
      if (moments.at(-1).count < now.count) moments.push(moment()); // the last step, which may not be a kept one
      const nearest = moments.reduce((one, other) => (Math.abs(other.count - count) < Math.abs(one.count - count) ? other : one));
      now = { ...nearest.then, ...physical() };
      before = earlier = now.u;
      flip = beforeFlip = nearest.flip;
      past.cursor = now.count;
      edge = watched = null;
      queued = [];
      since = verdict.newPast(directions(now.u), now);
    }

    function forgetLater() {
      charts.cut(past, now.count);
      moments = moments.filter(({ count }) => count <= now.count);
    }

    // The points have been moved by hand: at rest, wherever they are now
    function moved(u, v) {
      if (past.cursor !== null) forgetLater();
      if (moments.at(-1).count === now.count) moments.pop();
      [now, queued] = [{ ...now, u, v }, []];
      before = earlier = u;
      since = verdict.newPast(directions(u), now);
      moments.push(moment());
    }

    // Point i to a place of the picture: of more than three dimensions the leading three change
    function place(i, at) {
      if (now.w) return; // outputs of a network are moved by its weights alone
      const { n } = now, d = now.u.length / n, u = Float64Array.from(now.u), v = now.v && Float64Array.from(now.v);
      const size = Math.hypot(...u.subarray(d * i, d * (i + 1))), seen = physics.project(directions(u), n, frame);
      const z = directions(u).subarray(d * i, d * (i + 1)).map((x, k) =>
        x + frame.reduce((sum, direction, j) => sum + direction[k] * (flip * at[j] - seen[3 * i + j]), 0));
      const long = Math.hypot(...z);
      for (let k = 0; k < d; k++) {
        u[d * i + k] = (size * z[k]) / long;
        if (v) v[d * i + k] = 0;
      }
      moved(u, v);
    }

    // Every point a little aside, another way each time
    const SHAKE = 0.1; // radians
    function shake(normal) {
      if (now.w) return;
      const { n } = now, z = directions(now.u), d = z.length / n, aside = physics.perturbed(z, SHAKE, n, normal);
      moved(aside.map((x, k) => x * Math.hypot(...now.u.subarray(d * Math.floor(k / d), d * Math.floor(k / d) + d))), now.v);
    }

    const look = () => { edge = network.edge(now); };

    // A network's stable rate: at once where none is known, then every so often a look that takes some steps, so that no
    // frame waits for all of it; what is drawn of these steps follows
    function watch() {
      if (edge === null) return look();
      if (!watched && now.count % EVERY === 0) watched = begun();
      goOn();
    }
    const begun = () => ({ then: now, products: network.looking(now) });

    function goOn() {
      for (let left = Math.ceil(WORK / (now.n * now.w.length)); watched && left > 0; left--) {
        const { done, value } = watched.products.next();
        if (!done) continue;
        edge = network.edge(watched.then, value);
        for (const kept of [...past.records, past.latest]) if (kept.count >= watched.then.count) kept.edge = edge;
        watched = null;
      }
    }

    // Settings that change what is known of the sharpness: frames go on with the look, without a step; whether it is done
    function attend() {
      if (!watched?.soon) return false;
      goOn();
      return watched === null;
    }

    const squaredNorm = () => now.u.reduce((sum, x) => sum + x * x, 0) / now.n;

    function advance(steps) {
      if (past.cursor !== null) forgetLater();
      for (let k = 0; k < steps; k++) {
        const next = now.w ? network.step(now) : physics.step(now);
        if (past.latest.count === now.count) past.latest.loss = next.lossBefore;
        let along = 0;
        for (let i = 0; i < now.u.length; i++) along += now.u[i] * next.u[i];
        // A merged ambient step above tau/2 throws every point to the other side; the losses do not see that flip, so
        // the picture takes it back. Prototypes do see it.
        beforeFlip = flip;
        if (along < 0 && chosen.lambda === 0 && !now.w) flip = -flip;
        earlier = before;
        before = now.u;
        now = next;
        verdict.note(since, directions(before), directions(now.u), now);
        record();
      }
    }

    const settled = () => queued.length >= KEPT && ["R", "rank", "view"].every((name) => {
      const values = queued.map((seen) => seen[name]);
      return Math.max(...values) - Math.min(...values) < 2e-3;
    });

    // What there is to see and to say, now
    function read() {
      predict();
      const z = directions(now.u), seen = physics.observe(z, now.n, now);
      seen.norm = squaredNorm();
      const averaged = { ...seen };
      if (prediction.norm !== null) // there every pair circulates (T10): averages are what can be compared
        for (const name of ["R", "rank", "view", "norm"])
          averaged[name] = queued.reduce((sum, one) => sum + one[name], 0) / queued.length;
      seen.loss = physics.lossPerAnchor(z, now);
      if (past.latest.count === now.count) past.latest.loss = seen.loss;
      const state = outcome.state(z, now.n, chosen.loss, seen);
      // Cosines with each other do not see that all points change sides; those with their prototypes do
      const own = (points) => (chosen.lambda > 0 ? physics.alignments(points, now.n, now) : []), mine = own(z);
      const distance = (u) => Math.max(physics.moved(directions(u), z, now.n), ...own(directions(u)).map((x, i) => Math.abs(x - mine[i])));
      const moved = now.count > 0 ? distance(before) : 0, back = now.count > 1 ? distance(earlier) : moved;
      const former = own(directions(before)).reduce((sum, x) => sum + x, 0) / now.n;
      const shown = { ...averaged, loss: seen.loss, ...outcome.classes(z, now.n, now), z, state, moved, back, former, settled: settled() };
      const answer = verdict.of(now, { th, prediction }, { seen: shown, past: since });
      if (["as predicted", "on its way"].includes(answer.verdict)) prediction.text += story.ascent(now, prediction);
      const waits = answer.verdict === "on its way"; // slow is not settled
      if (now.w && edge === null) look();
      reading = { edge, ...seen, norm: averaged.norm, state, ...answer, settled: settled() && !waits, z, gathered: gathering.find(z, now.n) };
      return reading;
    }

    // Positions to draw, part of the way from the last step's, with the flips taken back, and where the prototypes are;
    // of more than three dimensions the leading three
    function drawn(part) {
      const to = reading.z, from = directions(before), z = new Float64Array(to.length);
      for (let k = 0; k < z.length; k++)
        z[k] = part >= 1 ? flip * to[k] : (1 - part) * beforeFlip * from[k] + part * flip * to[k];
      frame = physics.leading(z, now.n, frame);
      const flat = (points) => physics.project(points, now.n, frame);
      const axes = physics.prototypes(now, z.length / now.n).map((c) => frame.map((direction) => c.reduce((sum, x, k) => sum + x * direction[k], 0)));
      const { gathered } = reading, ring = gathered.ring && { ...gathered.ring, axis: gathered.ring.axis.map((x) => flip * x) };
      return { ...gathered, ring, z: flat(part >= 1 ? z : directions(z)), before: flat(from.map((x) => beforeFlip * x)), axes };
    }

    return {
      restart, load, change, advance, attend, read, drawn, scrub, place, shake,
      get last() { return past.latest.count; },
      get now() { return now; }, get th() { return th; }, get past() { return past; },
      get prediction() { return prediction; }, get reading() { return reading; },
    };
  }

  return { create };
})();
