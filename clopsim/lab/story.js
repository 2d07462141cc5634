// What theory predicts at a setting, what the run shows, and one sentence that holds the two together.
"use strict";
const story = (() => {
  const BREAKS = { 1: "towards a point", 2: "towards a line" };
  const towards = (degree) => BREAKS[degree] || `into clusters (degree ${degree})`;
  const two = (x) => (Math.abs(x) < 0.005 ? "0" : x.toFixed(2));

  // The prediction: a phase, a sentence, and where each observable should end (null: theory gives no number)
  function predict(s, th, column = 1) {
    const nothing = { R: null, rank: null, view: null, prototype: null, norm: null };
    const even = { R: 0, rank: 3 };
    const say = (phase, text, values) => ({ ...nothing, phase, text, ...values });
    if (s.lambda > 0) return withPrototypes(s, column, say);
    if (s.gradient === "free") return freeNorm(s, say, even);
    const broken = th.uniform !== null && s.rate >= th.uniform;
    if (s.loss === "full") {
      if (s.rate < th.alignment && !broken)
        return say("even", "The two views of a sample agree and the samples spread evenly (T5).", { ...even, view: 1 });
      if (s.gradient === "ambient" && s.rate < th.alignment)
        return say("between", `The even spread breaks ${towards(th.degree)} while views still agree (T5).`, { view: 1 });
      if (s.gradient === "ambient")
        return say("apart", "The two views of a sample come apart and end at opposite ends of a line (T5).",
          { R: 0, view: -1 });
      const cosine = theory.swapCosine(s.rate, s.tau);
      if (broken)
        return say("apart", "The views come apart and the even spread breaks, but collapse never attracts (T4, T5).", {});
      return say("apart", "The two views come apart: every step they swap places, at cosine " +
        `τ/(2μ) = ${two(cosine)} (T5).`, { ...even, view: cosine });
    }
    if (!broken) return say("even", "The even spread is stable: the mean length should fall to 0 (T5).", even);
    if (th.collapse === null)
      return say("between", `The even spread breaks ${towards(th.degree)} (T5), but complete collapse never attracts (T4).`);
    if (s.rate < th.collapse)
      return say("between", `The even spread breaks ${towards(th.degree)} (T5), but complete collapse does not attract ` +
        "yet (T4): the run should end in between.");
    return say("point", "Complete collapse attracts: the points should end on one spot (T4).", { R: 1, rank: 1 });
  }

  function freeNorm(s, say, even) {
    if (!(s.decay > 0))
      return say("even", "Norms grow until the effective rate μ/|u|² is safe; then the points spread evenly (T10).",
        s.loss === "full" ? { ...even, view: 1 } : even);
    if (s.loss === "merged")
      return say("between", "Decay shrinks the norms until the effective rate meets the edge μ_T. " +
        "There is no closed form for the merged loss.");
    const steady = theory.freeNorm(s.rate, s.tau, s.decay);
    if (!steady) return say("between", "Rate times decay reaches 1: a step wipes the norm out. Theory is silent.");
    return say("apart", `Decay holds the effective rate at the edge: the views settle around cosine 1 − μw = ` +
      `${two(steady.cosine)}, |u|² around 2μ/τ = ${two(steady.squaredNorm)} (T10).`,
      { ...even, view: steady.cosine, norm: steady.squaredNorm });
  }

  function withPrototypes(s, column, say) {
    const values = s.loss === "merged" && s.gradient !== "free" ? theory.equilibrium(s) : null;
    const ends = values ? { R: values.R, rank: values.rank, prototype: values.prototype } : {};
    const rescue = theory.rescue(s, column);
    if (s.gradient === "ambient" && rescue.angle !== null)
      return say("rescued", "The prototypes win: one step brings every point within " +
        `${Math.ceil((180 / Math.PI) * rescue.angle)}° of its own, at any learning rate (T7).`, ends);
    if (s.gradient === "ambient")
      return say("open", "No collapsed state is at rest (T6), but only λ > " +
        `${rescue.least.toFixed(1)} guarantees the rescue in one step (T7).`);
    return say("open", "No collapsed state is at rest (T6)" +
      (values ? "; small steps lead each class close to its prototype (T8)." : "."), ends);
  }

  // Which state the points are in: the outcomes of clopsim/outcomes.py, with its limits
  const POINT = 1e-2;
  // Largest energy of degree 1 to 4 that chance allows n independent points on the sphere, times n (outcomes.is_uniform)
  const CHANCE = [7.036, 5.1489, 4.2683, 3.7467];

  function outcome(z, n, loss, seen) {
    if (!Number.isFinite(seen.R)) return "diverged";
    if (seen.R >= 1 - POINT) return "point";
    if (seen.share >= 1 - POINT) return "line";
    const points = loss === "full" ? n / 2 : n;
    return physics.harmonicEnergy(z, n).every((e, k) => e * points <= CHANCE[k]) ? "even" : "between";
  }

  const WORDS = {
    diverged: "a point was sent to the origin", point: "all points on one spot", line: "all points on one line",
    even: "evenly spread", between: "partly gathered",
  };

  // Does the run do what is predicted? seen: averages of the last steps; settled: nothing moves any more
  function judge(prediction, seen, { state, settled, loss, lambda, rescue }) {
    const near = (x, y, slack) => y === null || Math.abs(x - y) <= slack;
    let agrees = near(seen.rank, prediction.rank, 0.12) && near(seen.R, prediction.R, 0.1);
    if (loss === "full") agrees &&= near(seen.view, prediction.view, 0.04);
    if (prediction.phase === "even") agrees &&= state === "even";
    if (prediction.phase === "point") agrees &&= state === "point";
    if (prediction.phase === "between") agrees &&= state === "between" || state === "line";
    if (prediction.phase === "rescued") agrees &&= seen.lowest >= Math.cos(rescue.angle) - 1e-9;
    if (prediction.phase === "open") agrees &&= state !== "point";
    if (state === "diverged") agrees = false;
    let words = WORDS[state];
    if (loss === "full" && state !== "point") words += `, views at cosine ${two(seen.view)}`;
    if (lambda > 0 && state === "between") words = `three groups, ${two(seen.prototype)} close to their prototypes`;
    const verdict = agrees ? "as predicted" : settled || state === "diverged" ? "not as predicted" : "not there yet";
    return { agrees, verdict, words };
  }

  return { predict, outcome, judge, WORDS, CHANCE };
})();
