// Does the run do what is predicted? Theory speaks of the neighbourhood of a few states: there one step multiplies a small
// disturbance by a known factor (stability.js). So a run is called wrong where such a factor is, and only there: it grows
// what should fade, or keeps what should grow for longer than the factor needs. All else takes time, or is a place of
// which theory does not speak.
"use strict";
const verdict = (() => {
  const { RESTLESS, GATHERED } = outcome;
  const { two } = text;
  const ROUNDING = 1e-16, FLOOR = 1e-13; // where growth from rounding starts; below FLOOR a size says nothing
  const NEAR = 0.1; // radians: small enough for the factors; smaller still where they are close to 1
  const FEW = 10; // steps in which a size must have grown where it should fade, or the other way round
  const VISIBLE = 0.14; // radians: R = 0.99
  const PATIENCE = 1000; // steps that a run may move, once away from a spot, without coming close to what is predicted
  const QUIET = 2e-4, REST = 1e-5; // a step that moves the points less has as good as come to rest; is at rest
  const BESIDE = 0.8; // R, or share of the leading direction: weak prototypes hold the points no farther off
  const TIGHT = 1e-3; // distance of a class's points from their mean below which it rests on one point
  const ROUGH = 0.03; // of a rate: T5 and T13 are measured to within 2 %

  // kind -> the verdict in short (also its style) and the badge
  const KINDS = {
    predicted: ["as predicted", "✓ As predicted"], bistable: ["as predicted", "✓ As predicted, one of two ends"],
    arriving: ["on its way", "… On its way"], leaving: ["on its way", "… Leaving"],
    elsewhere: ["no prediction", "◦ Theory does not say"], "too-small": ["no prediction", "◦ Too close to tell"],
    silent: ["no prediction", ""], diverged: ["no prediction", "◦ Stopped"],
    "not-predicted": ["not as predicted", "✕ Not as predicted"],
  };
  const WORDS = {
    diverged: "a point was sent to the origin, where the sphere has no direction", point: "all points on one spot",
    line: "all points on one line", even: "evenly spread", between: "partly gathered",
  };

  // ---- what a run remembers since its settings last changed ---------------------------------------------------------

  const ROOM = 4000, REGARD = 25; // records kept; steps between two looks at a rest

  // loosened: whether the points have just been set apart
  const newPast = (z, { n, loss }, loosened = false) =>
    ({ since: 0, records: [measured(z, n, loss, NaN)], rested: null, regarded: 0, loosened });

  function measured(z, n, loss, stir) {
    const record = { ...outcome.sizes(z, n, loss), stir, bent: NaN };
    if (record.apart > 2 - NEAR) record.bent = outcome.bent(z, n);
    return record;
  }

  // Take note of a step from z to next
  function note(past, z, next, { n, loss }) {
    past.since++;
    const record = measured(next, n, loss, outcome.stir(z, next, n));
    past.records.push(record);
    if (past.records.length > ROOM) past.records.splice(0, ROOM / 2);
    if (record.stir > QUIET || past.since < past.regarded) return;
    past.regarded = past.since + REGARD;
    past.rested = { state: outcome.state(next, n, loss, physics.observe(next, n)), apart: record.apart };
  }

  // A disturbance that one step multiplies by a factor: whether it leaves, in how many steps it is seen, and whether its
  // records contradict the factor. All disturbances of a name have the same factor, so a few steps tell. stalled: it has
  // left as far as it goes, just above a rate at which a state holds the points no more
  function watch(past, name, factor, { tau, momentum: beta = 0 }) {
    const size = past.records.at(-1)?.[name];
    if (!(size <= NEAR) || factor === null) return null;
    const pace = Math.abs(Math.log(factor)), leaves = factor > 1, until = leaves ? 1.3 * needed(factor) + 200 : 0;
    const toGo = leaves ? Math.log(NEAR / Math.max(size, ROUNDING)) / pace : 0;
    // Beyond the first order the factor changes by about size^2/tau: too small to turn it round below this
    const small = Math.min(NEAR, 0.3 * Math.sqrt(pace * Math.min(1, tau)));
    // With momentum a size swings: then more steps, the largest of either end, and not before the velocity has settled
    const former = past.records.at(-1 - FEW)?.[name], stalled = leaves && size > small && Math.log(size / former) < (FEW * pace) / 3;
    const window = beta > 0 ? Math.max(FEW, Math.ceil(Math.log(5) / pace)) : FEW, settling = (10 * beta) / (1 - beta);
    const sizes = past.records.slice(-window).map((one) => one[name]);
    if (past.since < window + settling || !sizes.every((one) => one <= small && one > FLOOR)) return { leaves, toGo, until, stalled, wrong: false };
    const end = beta > 0 ? Math.ceil(window / 4) : 1, first = Math.max(...sizes.slice(0, end)), last = Math.max(...sizes.slice(-end));
    return { leaves, toGo, until, stalled, wrong: leaves ? last < first : last > first };
  }

  // ---- the verdict --------------------------------------------------------------------------------------------------

  // s: the run's settings with its rate; th: its thresholds; prediction: story.predict's; seen: the observables, with z,
  // state, moved and back (the largest change of a cosine in the last step and over the last two), former (the mean cosine with
  // a prototype a step ago), lowest (the smallest) and settled; past: as noted since the settings last changed
  // Returns kind, verdict, badge, words (what the run shows), stepsToGo (null where nobody knows), motion, there (the place where it rests).
  function of(s, { th, prediction }, { seen, past }) {
    const motion = outcome.motion(seen.moved, seen.back);
    const there = th.places?.find((place) => places.reached(place, seen, s)) ?? null; // where a run may come to rest
    let words = describe(s, there, seen, motion);
    const say = (kind, more = "", stepsToGo = null) =>
      ({ kind, verdict: KINDS[kind][0], badge: KINDS[kind][1], words: words + more, stepsToGo, motion, there: there?.is ?? null });
    if (prediction.phase === "silent") return say("silent");
    if (seen.state === "diverged") return say("diverged");
    const local = s.lambda > 0 || s.gradient === "free" || th.places ? null : neighbourhood(s, th, past);
    const broken = local ? contradiction(s, local, seen, past) : brokenPromise(s, prediction, seen, past);
    if (broken) return say("not-predicted", `: ${broken}`);
    const open = seen.state === "point" && local && (local.spot ? local.spot.stalled : past.records.at(-1).spread > NEAR);
    if (open) words = `all points within some ${Math.round((180 / Math.PI) * past.records.at(-1).spread)}° of one spot`;
    const leaving = local && [local.spot, local.line, !local.rough.views && local.views, seen.state === "even" && !local.rough.even && local.ripple]
      .find((one) => one?.leaves && !one.stalled);
    const gone = !leaving || (leaving !== local.spot && leaving !== local.line); // from a spot or a line that does not hold the points
    const other = prediction.held?.includes(there) && there.arranged && !there.arranged(seen.z); // another than the one known
    if (gone && !other && agrees(s, th, prediction, { ...seen, open }, motion)) return say(prediction.phase === "either" ? "bistable" : "predicted");
    const waiting = (kind, more, toGo) => { // to be restless is no fault of a run that is on its way
      words = words.replace("restless", "still moving");
      return say(kind, more, toGo === null ? null : Math.ceil(toGo));
    };
    if (leaving && past.since < leaving.until)
      return waiting("leaving", `, leaving${leaving.toGo < 1 ? "" : `: ${steps(leaving.toGo)}`}${past.loosened ? ", set apart by 1° to show it" : ""}`, leaving.toGo);
    const toGo = local ? fading(s, prediction, local, seen, past) : null;
    const still = seen.settled && !(s.gradient === "free" && motion); // a free norm grows as long as its points move
    if (past.since < (toGo === null ? 0 : 3 * toGo + 100) || (!still && past.since < PATIENCE + (local?.spot?.until ?? 0)))
      return waiting("arriving", toGo === null || toGo < 1 ? "" : `, ${steps(toGo)}`, toGo);
    const tooSmall = local ? local.rough.even || local.rough.views : th.tooSmall.uniform || th.tooSmall.alignment;
    if (tooSmall && !(s.lambda > 0) && prediction.phase !== "point") return say("too-small", ": n is too small to tell (T13)");
    if (other) {
      const first = places.side(seen.z, s).filter((end) => end > 0).length, ends = [first, s.n - first].sort((a, b) => a - b);
      return say("elsewhere", `, ${ends.join(" and ")} at its ends; theory’s rate is for ${there.known}`);
    }
    if (seen.state === "line" || seen.state === "point") return say("elsewhere", ", where every gradient vanishes (T1)");
    return say("elsewhere", still ? ", caught on the way" : ", and still moving");
  }

  const steps = (count) => {
    const digits = Math.max(0, Math.floor(Math.log10(Math.max(1, count))) - 1);
    const about = Math.ceil(count / 10 ** digits) * 10 ** digits;
    return `about ${about} step${about === 1 ? "" : "s"} to go`;
  };

  // What theory says of the states nearby: factors, sizes and where it does not bear the answer
  function neighbourhood(s, th, past) {
    const factors = stability.uniform(s), spot = stability.collapse(s), full = losses[s.loss].views;
    const close = (rate) => rate !== null && Math.abs(Math.log(s.rate / rate)) < ROUGH + th.unresolved;
    const rough = { even: th.tooSmall.uniform || close(th.uniform), views: full && (th.tooSmall.alignment || close(th.alignment)) };
    const together = past.records.at(-1)?.spread <= NEAR; // the points
    const breaks = th.uniform !== null && s.rate >= th.uniform;
    return {
      factors, rough,
      even: { breaks, views: full && s.rate >= th.alignment },
      spot: !together ? null : full ? watch(past, "together", spot.together, s) : watch(past, "spread", spot.spread, s),
      parting: together && full ? watch(past, "apart", spot.apart, s) : null,
      line: full ? watch(past, "bent", stability.line(s), s) : null,
      ripple: { leaves: breaks, toGo: Math.max(0, Math.log(RESTLESS / Math.max(past.records.at(-1)?.stir || 0, ROUNDING)) / Math.log(factors.ripple)), until: 1.3 * needed(factors.ripple) },
      views: full && !together ? watch(past, "apart", factors.views, s) : null,
    };
  }

  // Steps from rounding until a disturbance of this factor must be seen
  const needed = (factor) => Math.log(NEAR / ROUNDING) / Math.log(factor);

  // The sentence that says which of theory's factors the run contradicts, or null
  function contradiction(s, { factors, rough, even, spot, parting, line }, seen, past) {
    const stir = past.records.at(-1)?.stir, spread = seen.state === "even";
    if (spot?.wrong)
      return spot.leaves ? "the spot shrinks, though collapse does not attract at this rate" : "the spot grows, though collapse attracts at this rate";
    if (parting?.wrong) return parting.leaves ? "the views close up on the spot, where they should part" : "the views part on the spot, where they should close up";
    if (line?.wrong) return line.leaves ? "the line draws points in, though it does not attract at this rate" : "points leave the line, though it attracts at this rate";
    const rested = past.rested?.state === "even" ? past.rested : null; // it lay evenly, at rest
    if (!rough.even && !(even.views || rough.views)) {
      if (even.breaks && rested && spread && stir < REST && past.since > 1.2 * needed(factors.ripple))
        return "the even spread rests, though it should have broken by now";
      if (!even.breaks && rested && !(rested.apart > NEAR) && (!spread || seen.moved > RESTLESS))
        return "the even spread has broken, though it is stable at this rate";
    }
    if (losses[s.loss].views && !rough.views && !even.breaks && !rough.even && rested && rested.apart < NEAR && spread) {
      if (even.views && seen.view > 0.999 && past.since > 1.2 * needed(factors.views)) return "the views still agree, though they should have come apart by now";
      if (!even.views && seen.view < 0.95) return "the views have come apart, though they agree at this rate";
    }
    return null;
  }

  // With prototypes: what theory promises whatever the start
  function brokenPromise(s, { phase, prototype, rescue }, seen, past) {
    if (!(s.lambda > 0) || past.since === 0) return null;
    if (phase === "rescued" && seen.lowest < Math.cos(rescue.angle) - 1e-9)
      return "a point is farther from its prototype than one step may leave it (T7)";
    if (past.since > 1 && !(s.prototypes === "simplex" && s.classes === 2) && past.records.at(-1).spread < 1e-9 * s.lambda * Math.min(1, s.rate))
      return "the points rest on one spot, though none is at rest there (T6)";
    if (prototype !== null && s.gradient !== "free" && past.records.at(-1).stir < REST && seen.lowest > 0.5 && seen.within < TIGHT && Math.abs(seen.prototype - prototype) > 0.02)
      return "each class rests on one point, but not where it should (T8)";
    return null;
  }

  function agrees(s, th, prediction, seen, motion) {
    const near = (x, y, slack) => y === null || Math.abs(x - y) <= slack;
    const { phase, held } = prediction, { state } = seen, full = losses[s.loss].views;
    const numbers = near(seen.rank, prediction.rank, 0.04 * (s.dim ?? 3)) && near(seen.R, prediction.R, 0.1) &&
      (!full || near(seen.view, prediction.view, 0.04));
    const still = state === "even" && seen.moved <= RESTLESS;
    if (s.lambda > 0) return agreesWithPrototypes(s, prediction, seen, numbers);
    if (held) return held.length ? held.some((place) => places.reached(place, seen, s)) : !th.places.some((place) => !place.open && places.reached(place, seen, s));
    if (phase === "even") return numbers && still;
    if (phase === "point") return numbers && state === "point";
    if (phase === "either" && !full) return state === "point" || still;
    if (phase === "either") return (state === "line" && near(seen.view, -1, 0.04)) || (still && near(seen.view, 1, 0.04));
    if (phase === "between") return numbers && (state !== "point" || (seen.open && seen.settled)) && !(state === "even" && motion === "");
    return numbers && (prediction.view !== null || seen.view < 0.95); // apart
  }

  function agreesWithPrototypes(s, { phase, prototype, rescue, spread }, seen, numbers) {
    const beside = losses[s.loss].views ? seen.state === "line" || seen.share > BESIDE : seen.state === "point" || seen.R > BESIDE;
    if (phase === "beside") return beside;
    const settled = numbers && (prototype === null || Math.abs(seen.prototype - prototype) <= 0.04);
    if (phase === "either") return beside || (seen.prototype > 0.5 && seen.state !== "point");
    if (phase === "rescued") return settled && seen.lowest >= Math.cos(rescue.angle) - 1e-9;
    return settled && seen.state !== "point" && !(spread && seen.within < TIGHT);
  }

  // Steps until what should fade has faded, from how much there is and the factors; null where they say nothing
  function fading(s, { phase, R, view }, { factors }, seen, past) {
    const last = past.records.at(-1);
    if (!last) return null;
    const until = (size, limit, factor) => (size > limit && factor < 1 ? Math.log(size / limit) / -Math.log(factor) : 0);
    const fades = [];
    if (phase === "even") outcome.order(seen.z, s.n, s.loss).forEach((e, k) => fades.push(until(Math.sqrt(e), 1, factors.degrees[k])));
    if (view === 1) fades.push(until(last.apart, VISIBLE * Math.SQRT2, factors.views));
    if (R === 1) fades.push(until(last.spread, VISIBLE, stability.collapse(s).spread));
    if (view === -1) fades.push(until(last.bent, VISIBLE, stability.line(s)));
    return fades.length ? Math.max(...fades) : null;
  }

  function describe(s, there, seen, motion) {
    const { state } = seen, full = losses[s.loss].views, swap = full && seen.view < 0.99; // or all points go, views together
    const jumps = s.lambda > 0 && seen.moved > RESTLESS ? { oscillating: ", jumping between two places", restless: ", restless" }[motion] ?? "" : "";
    if (state === "point" || state === "diverged") return WORDS[state] + jumps;
    if (s.lambda > 0) {
      const beside = seen.R > BESIDE && !jumps, turns = jumps && motion === "oscillating" ? [seen.prototype, seen.former] : [seen.prototype];
      const at = `at cosine ${[...new Set(turns.sort((a, b) => a - b).map(two))].join(" and ")} to its prototype`;
      if (seen.within < GATHERED && !beside) return `each class on one point${jumps}, ${at}`;
      return `${beside ? "gathered beside one spot, " : ""}each point on average ${at}${jumps}`;
    }
    if (there?.shows) return there.shows;
    return WORDS[state] + (full ? `, views at cosine ${two(seen.view)}` : "") +
      { oscillating: swap ? ", swapping" : ", back and forth", restless: ", restless", "": "" }[motion];
  }

  // ---- a collapsed state that stops attracting ---------------------------------------------------------------------

  // Points that lie closer together than can be seen would leave from rounding alone, in some hundreds of steps. Where
  // the settings change from s, at which the state attracts, to next, at which it does not, they are set apart a little.
  const UNSEEN = 0.01;
  function loosened(u, s, next) {
    if (next.network !== "on" && next.loss === s.loss && !(s.lambda > 0 || next.lambda > 0) && theory.thresholds(s).places)
      return released(u, s, next) ? physics.perturbed(u, physics.SPREAD, s.n) : u;
    if (next.lambda > 0 || s.lambda > 0 || next.gradient === "free" || next.network === "on" || !losses[next.loss].base || next.loss !== s.loss) return u;
    const { spread, apart } = outcome.sizes(u, s.n, s.loss), full = losses[s.loss].views;
    const attracts = (one) => (full ? apart > 2 - UNSEEN && stability.line(one) < 1 : stability.collapse(one).spread < 1);
    const gathered = full ? apart > 2 - UNSEEN && outcome.bent(u, s.n) < UNSEEN : spread < UNSEEN;
    return gathered && attracts(s) && !attracts(next) ? physics.perturbed(u, physics.SPREAD, s.n) : u;
  }

  // The same of a loss that says where its runs come to rest: points that lie there and are held no more
  function released(u, s, next) {
    const z = physics.unit(u, s.n), seen = physics.observe(z, s.n, s), classes = outcome.classes(z, s.n, s);
    if (!(classes.within < UNSEEN || 1 - seen.share < UNSEEN ** 2)) return false;
    const reading = { ...seen, ...classes, z, state: outcome.state(z, s.n, s.loss, seen), moved: 0, loss: physics.lossPerAnchor(z, s) };
    const held = (one) => theory.thresholds(one).places.filter((place) => places.holds(place, one)).map(({ is }) => is);
    const there = theory.thresholds(s).places.find((place) => places.reached(place, reading, s))?.is;
    return held(s).includes(there) && !held(next).includes(there);
  }

  return { of, newPast, note, loosened };
})();
