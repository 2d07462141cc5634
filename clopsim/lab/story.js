// What theory predicts at a setting, what the run shows, and one sentence that holds the two together.
"use strict";
const story = (() => {
  const BREAKS = { 1: "towards a point", 2: "towards a line" };
  const towards = (degree) => (degree === null ? "as its points start to spin (T14)" : BREAKS[degree] || `into clusters (degree ${degree})`);
  const two = (x) => (Math.abs(x) < 0.005 ? "0" : x.toFixed(2));

  // The prediction: a phase, a sentence, and where each observable should end (null: theory gives no number)
  function predict(s, th, column = 1) {
    const nothing = { R: null, rank: null, view: null, prototype: null, norm: null, caught: false, top: "" };
    const points = s.loss === "full" ? s.n / 2 : s.n;
    const even = { R: 0, rank: Math.min(s.dim ?? 3, points - 1) }; // a simplex, where no more points than dimensions are
    const say = (phase, text, values) => ({ ...nothing, phase, text, ...values });
    if (s.lambda > 0) return withPrototypes(s, column, say);
    if (s.gradient === "free") return freeNorm(s, say, even);
    const broken = th.uniform !== null && s.rate >= th.uniform;
    if (s.loss === "full") {
      const agree = "The two views of a sample agree and the samples spread evenly (T5)";
      if (s.gradient === "ambient") return ambientViews(s, th, { broken, agree, even, say });
      if (s.rate < th.alignment && !broken) return say("even", agree + ".", { ...even, view: 1 });
      const cosine = theory.swapCosine(s.rate, s.tau);
      if (broken)
        return say("apart", "The views come apart and the even spread breaks, but collapse never attracts (T4, T5).", {});
      return say("apart", "The two views come apart: every step they swap places, at cosine " +
        `τ/(2μ) = ${two(cosine)} (T5).`, { ...even, view: cosine });
    }
    if (!broken) return say("even", "The even spread is stable: the mean length should fall to 0 (T5).", even);
    if (th.collapse === null)
      return say("between", `The even spread breaks ${towards(th.degree)} (T5), but complete collapse never attracts (T4): ` +
        "the points should stay restless.");
    if (s.rate < th.collapse)
      return say("between", `The even spread breaks ${towards(th.degree)} (T5), but complete collapse does not attract ` +
        "yet (T4): the run should end in between.");
    const caught = th.degree > 1; // T4 is about the neighbourhood of the spot; on the way lie other places to rest
    const unless = !caught ? "" : `, unless ${th.degree === 2 ? "a line catches" : "clusters catch"} them first (T5)`;
    return say("point", `Complete collapse attracts: the points should end on one spot (T4)${unless}.`, { R: 1, rank: 1, caught, top: "collapse" });
  }

  // Full loss, ambient gradient: views agree up to T5's rate, a line with antipodal views attracts from T12's on
  function ambientViews(s, th, { broken, agree, even, say }) {
    const line = th.line !== null && s.rate >= th.line, top = line ? "this line" : "";
    if (s.rate < th.alignment && broken)
      return say("between", `The even spread breaks ${towards(th.degree)} while views still agree (T5)` +
        (line ? ", unless a line with antipodal views catches them (T12)." : "."), { view: 1, caught: line, top });
    if (s.rate < th.alignment && line)
      return say("either", agree + "; or all end on one line, the views opposite (T12). The start decides.", { R: 0, top });
    if (s.rate < th.alignment) return say("even", agree + ".", { ...even, view: 1 });
    if (!line)
      return say("apart", "The two views of a sample come apart (T5), but no line attracts " +
        (th.line === null ? "with so few samples" : "yet") + " (T12): the run should end in between.");
    const caught = th.alignment < th.line; // then views rest at an angle just below T12's rate, and for a while above it
    return say("apart", "The two views of a sample come apart (T5) and end at opposite ends of a line (T12)" +
      (caught ? ", unless views at an angle or several lines catch them first." : "."), { R: 0, rank: 1, view: -1, caught, top });
  }

  // T11: what a step of this run does to the loss, where the state in which it is largest attracts
  const ascent = (s, { top }) => (top && theory.ascends(s.rate, physics.radial(s.u, s))
    ? ` Each step goes up the slope of the loss: ${top} at this rate is maximisation (T11).` : "");

  function freeNorm(s, say, even) {
    if (!(s.decay > 0))
      return say("even", "Norms grow until the effective rate μ/|u|² is safe; then the points spread evenly (T10).",
        s.loss === "full" ? { ...even, view: 1 } : even);
    if (s.loss === "merged")
      return say("silent", "Decay shrinks the norms and the effective rate climbs; for the merged loss there is no theory.");
    const steady = theory.freeNorm(s.rate, s.tau, s.decay);
    if (!steady) return say("silent", "Rate times decay reaches 1: a step wipes the norm out, and theory is silent.");
    return say("apart", "Nothing settles: each pair of views circles about a swap, at cosine 1 − μw = " +
      `${two(steady.cosine)} and |u|² = 2μ/τ = ${two(steady.squaredNorm)}, and averages stay close to it (T10).`,
      { ...even, view: steady.cosine, norm: steady.squaredNorm });
  }

  function withPrototypes(s, column, say) {
    const rescue = theory.rescue(s, column);
    const end = s.gradient === "free" ? null : equilibrium(s);
    const ends = end ? { R: end.R, rank: end.rank, prototype: end.prototype } : {};
    if (s.gradient === "ambient" && rescue.angle !== null)
      return say("rescued", "The prototypes win: one step brings every point within " +
        `${Math.ceil((180 / Math.PI) * rescue.angle)}° of its own, at any learning rate (T7).`, ends);
    const t7 = s.gradient === "ambient" ? ` A rescue in one step needs λ > ${rescue.least.toFixed(1)} (T7).` : "";
    if (end) return say("open", "No collapsed state is at rest (T6): each class should settle close to its prototype (T8)." + t7, ends);
    return say("open", "No collapsed state is at rest (T6), so the points cannot stay on one spot." + t7);
  }

  // T8's state where it attracts; kept for the setting, as it takes some steps to find out
  let known = {};
  function equilibrium(s) {
    const key = [s.n, s.dim, s.tau, s.lambda, s.loss, s.gradient, s.rate, s.momentum].join();
    if (known.key !== key) {
      const end = theory.equilibrium(s);
      known = { key, end: end && theory.equilibriumAttracts(s, end) ? end : null };
    }
    return known.end;
  }

  // Which state the points are in: the outcomes of clopsim/outcomes.py, with its limits
  const POINT = 1e-2;
  // Largest energy of degree 1 to 4 that chance allows n independent points on the sphere, times n (outcomes.is_uniform):
  // by the dimension; degrees and dimensions that are not here have 3
  const CHANCE = {
    3: [7.0358, 5.149, 4.2682, 3.7467], 4: [5.8782, 3.7467], 5: [5.149, 3.0414], 6: [4.6427], 7: [4.2682], 8: [3.9785],
    9: [3.7467], 10: [3.5564], 11: [3.397], 12: [3.2612], 13: [3.1439], 14: [3.0414],
  };
  const chance = (d) => [0, 1, 2, 3].map((k) => CHANCE[d]?.[k] ?? 3);

  function outcome(z, n, loss, seen) {
    if (!Number.isFinite(seen.R)) return "diverged";
    if (seen.R >= 1 - POINT) return "point";
    if (seen.share >= 1 - POINT) return "line";
    const points = loss === "full" ? n / 2 : n;
    const ceiling = chance(z.length / n);
    return physics.harmonicEnergy(z, n).every((e, k) => e * points <= ceiling[k]) ? "even" : "between";
  }

  const WORDS = {
    diverged: "a point was sent to the origin", point: "all points on one spot", line: "all points on one line",
    even: "evenly spread", between: "partly gathered",
  };

  // Movement as in clopsim/outcomes.py, from the largest change of a cosine in the last step and over the last two
  const MOVED = 1e-3, REPEATED = 0.1, RESTLESS = 0.05;
  const motion = (moved, back) =>
    (moved > MOVED && back < REPEATED * moved ? "oscillating" : moved > RESTLESS ? "restless" : "");

  // Does the run do what is predicted? seen: the observables; moved, back: as above
  function judge(prediction, seen, { state, settled, moved, back, loss, gradient, dim, lambda, rescue, tooSmall }) {
    const near = (x, y, slack) => y === null || Math.abs(x - y) <= slack;
    const restless = moved > RESTLESS;
    let agrees = near(seen.rank, prediction.rank, 0.04 * dim) && near(seen.R, prediction.R, 0.1);
    if (loss === "full") agrees &&= near(seen.view, prediction.view, 0.04);
    if (prediction.phase === "even") agrees &&= state === "even" && !restless;
    if (prediction.phase === "point") agrees &&= state === "point";
    if (prediction.phase === "between") agrees &&= state === "between" || state === "line" || restless;
    if (prediction.phase === "apart" && prediction.view === null) agrees &&= seen.view < 0.95; // as the strip has it
    if (prediction.phase === "either")
      agrees &&= state === "line" ? near(seen.view, -1, 0.04) : state === "even" && !restless && near(seen.view, 1, 0.04);
    if (prediction.phase === "rescued") agrees &&= seen.lowest >= Math.cos(rescue.angle) - 1e-9;
    if (lambda > 0) agrees &&= state !== "point";
    let words = WORDS[state];
    if (lambda > 0 && state !== "point") words = `each point on average at cosine ${two(seen.prototype)} to its prototype`;
    else if (state !== "point" && state !== "diverged") {
      if (loss === "full") words += `, views at cosine ${two(seen.view)}`;
      words += { oscillating: loss === "full" ? ", swapping" : ", back and forth", restless: ", restless", "": "" }[motion(moved, back)];
    }
    if (state === "diverged") return { agrees: false, verdict: "not as predicted", words: WORDS[state] };
    if (prediction.caught && settled && !agrees) return { agrees, verdict: "no prediction", words: words + ", caught on the way" };
    const rough = lambda === 0 && gradient !== "free" && prediction.phase !== "point" && (tooSmall.uniform || tooSmall.alignment);
    if (rough && settled && !agrees) return { agrees, verdict: "no prediction", words: words + ": n is too small to tell (T13)" };
    if (prediction.phase === "silent") return { agrees: true, verdict: "no prediction", words };
    return { agrees, verdict: agrees ? "as predicted" : settled ? "not as predicted" : "not there yet", words };
  }

  return { predict, ascent, outcome, motion, judge, chance };
})();
