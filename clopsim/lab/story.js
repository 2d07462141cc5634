// What theory predicts at a setting: a phase, a sentence, and where each observable should end.
"use strict";
const story = (() => {
  const BREAKS = { 1: "towards a point", 2: "towards a line" };
  const towards = (degree) => (degree === null ? "as its points start to spin (T14)" : `${BREAKS[degree] || `into clusters, degree ${degree}`} (T5)`);
  const { two } = text;

  // null: theory gives no number. caught: other places to rest lie on the way; spread: no class stays on one point
  function predict(s, th, column = 1) {
    const nothing = { R: null, rank: null, view: null, prototype: null, norm: null, caught: false, spread: false, top: "" };
    if (s.network === "on")
      return { ...nothing, phase: "silent", text: "Descent of the mean loss: a step on the weights is stable below 2(1 + β)/sharpness, the diamond ◆ (T14). Above it the outputs " +
        "grow until it is stable again: the diamond comes to the learning rate and stays there (measured, not proved)." };
    const say = (phase, text, values) => ({ ...nothing, phase, text, ...values });
    if (th.places) return ofPlaces(s, th, say);
    const points = losses[s.loss].views ? s.n / 2 : s.n;
    const even = { R: 0, rank: Math.min(s.dim ?? 3, points - 1) }; // a simplex, where no more points than dimensions are
    const { adds, name } = losses[s.loss];
    if (s.lambda > 0) return adds ? unwritten(name, say) : withPrototypes(s, th, column, say);
    const told = (phase, text, values) => say(phase, phase === "silent" || !adds ? text : `${text} ${adds(s)}`, values);
    if (s.gradient === "free") return freeNorm(s, told, even);
    const broken = th.uniform !== null && s.rate >= th.uniform;
    const rest = { broken, even, say: told };
    if (s.loss === "merged") return merged(s, th, rest);
    return s.gradient === "ambient" ? ambientViews(s, th, rest) : tangentViews(s, th, rest);
  }

  function merged(s, th, { broken, even, say }) {
    const attracts = th.collapse !== null && s.rate >= th.collapse, top = attracts ? "collapse" : "";
    if (!broken && attracts)
      return say("either", "The even spread is stable (T5), and complete collapse attracts too (T4): the start decides " +
        "between spread and one spot.", { top });
    if (!broken) return say("even", "The even spread is stable: the mean length should fall to 0 (T5).", even);
    if (th.collapse === null)
      return say("between", `The even spread breaks ${towards(th.degree)}, but complete collapse never attracts ` +
        `(${s.momentum > 0 && s.gradient === "ambient" ? "T14" : "T4"}): the points should stay restless.`);
    if (!attracts)
      return say("between", `The even spread breaks ${towards(th.degree)}, but complete collapse does not attract ` +
        "yet (T4): the run should end in between.");
    const caught = th.degree !== 1; // T4 is about the neighbourhood of the spot; on the way lie other places to rest
    const unless = !caught ? "" : `, unless ${th.degree === 2 ? "a line catches" : "clusters catch"} them first (T5)`;
    return say("point", `Complete collapse attracts: the points should end on one spot (T4)${unless}.`, { R: 1, rank: 1, caught, top });
  }

  // A loss that says where its runs may come to rest: the places that attract at this rate. A free norm grows until its
  // rate is safe.
  function ofPlaces(s, th, say) {
    const { name, unknown, otherwise, none } = losses[s.loss], free = s.gradient === "free";
    if (s.lambda > 0) return unwritten(name, say);
    if (!th.places.length) return say("silent", "The classes are of different size: for their places there is no theory in the lab. " + evened(s));
    if (unknown?.(s)) return say("silent", unknown(s));
    if (free && s.decay > 0) return say("silent", `Decay shrinks the norms and the effective rate climbs; for ${name} there is no theory.`);
    const held = th.places.filter((place) => places.holds(place, s)), one = held.length === 1 ? held[0] : {};
    const clauses = th.places.map((place) => (held.includes(place) ? place.holds : place.lost)).concat(held.length ? [] : otherwise).filter(Boolean).join("; ");
    const text = `${clauses[0].toUpperCase()}${clauses.slice(1)}.${held.length > 1 ? " The start decides." : ""}`;
    const { R = null, rank = null } = one;
    return say(held.length ? (one.is ?? "either") : none ?? "between", text, { R, rank, loss: one.loss?.(s) ?? null, held });
  }

  const unwritten = (name, say) => say("silent", `For ${name} with prototypes there is no theory in the lab.`);

  // The numbers of points nearby of which K classes of equal size can be made
  const evened = ({ n, classes: K = physics.CLASSES }) => {
    const below = 2 * K * Math.floor(n / (2 * K)), fits = [below, below + 2 * K].filter((k) => k >= 6 && k <= 200);
    return `Take n = ${fits.join(" or ")}.`;
  };

  const AGREE = "The two views of a sample agree and the samples spread evenly (T5)";

  function tangentViews(s, th, { broken, even, say }) {
    const apart = s.rate >= th.alignment;
    if (!apart && !broken) return say("even", AGREE + ".", { ...even, view: 1 });
    if (!apart)
      return say("between", `The even spread breaks ${towards(th.degree)} while views still agree, and collapse never attracts (T4).`, { view: 1 });
    if (broken) return say("apart", "The views come apart and the even spread breaks, but collapse never attracts (T4, T5).", {});
    if (s.momentum > 0)
      return say("apart", "The two views come apart, at 1 + β times the plain rate (T14); for where they swap with momentum there is no theory.", {});
    const cosine = theory.swapCosine(s);
    return say("apart", "The two views come apart: every step they swap places, at cosine " +
      `${losses[s.loss].reach ? `${two(cosine)} (T40)` : `τ/(2μ) = ${two(cosine)} (T5)`}.`, { ...even, view: cosine });
  }

  // Full loss, ambient gradient: views agree up to T5's rate, a line with antipodal views attracts from T12's on
  function ambientViews(s, th, { broken, even, say }) {
    const line = th.line !== null && s.rate >= th.line, top = line ? "this line" : "";
    if (s.rate < th.alignment && broken)
      return say("between", `The even spread breaks ${towards(th.degree)} while views still agree` +
        (line ? ", unless a line with antipodal views catches them (T12)." : "."), { view: 1, caught: line, top });
    if (s.rate < th.alignment && line)
      return say("either", AGREE + "; or all end on one line, the views opposite (T12). The start decides.", { R: 0, top });
    if (s.rate < th.alignment) return say("even", AGREE + ".", { ...even, view: 1 });
    if (!line)
      return say("apart", "The two views of a sample come apart (T5), but no line attracts " +
        (th.line === null ? (s.momentum > 0 ? "with this momentum" : "with so few samples") : "yet") + " (T12): the run should end in between.");
    const caught = th.alignment < th.line; // then views rest at an angle just below T12's rate, and for a while above it
    return say("apart", "The two views of a sample come apart (T5) and end at opposite ends of a line (T12)" +
      (caught ? ", unless views at an angle or several lines catch them first." : "."), { R: 0, rank: 1, view: -1, caught, top });
  }

  // T11: what a step of this run does to the loss, where the state in which it is largest attracts
  const ascent = (s, { top }) => (top && !(s.momentum > 0) && theory.ascends(s.rate, physics.radial(s.u, s))
    ? ` Each step goes up the slope of the loss: ${top} at this rate is maximisation (T11).` : "");

  function freeNorm(s, say, even) {
    if (!(s.decay > 0))
      return say("even", "Norms grow until the effective rate μ/|u|² is safe; then the points spread evenly (T10).",
        losses[s.loss].views ? { ...even, view: 1 } : even);
    if (s.loss === "merged")
      return say("silent", "Decay shrinks the norms and the effective rate climbs; for the merged loss there is no theory.");
    if (s.momentum > 0)
      return say("silent", "With momentum the swap of the views is an unstable spiral: pairs leave it in bursts, and theory gives no number (T10).");
    const steady = theory.freeNorm(s);
    if (!steady) return say("silent", "Rate times decay reaches 1: a step wipes the norm out, and theory is silent.");
    return say("apart", "Nothing settles: each pair of views circles about a swap, at cosine 1 − μw = " +
      `${two(steady.cosine)} and |u|² = ${losses[s.loss].reach ? "" : "2μ/τ = "}${two(steady.squaredNorm)}, and averages stay close to it (T10).`,
      { ...even, view: steady.cosine, norm: steady.squaredNorm });
  }

  const degrees = (cosine) => `${Math.round((180 / Math.PI) * Math.acos(cosine))}°`;

  function withPrototypes(s, th, column, say) {
    const simplex = s.prototypes === "simplex", critical = theory.criticalWeight(s), weak = theory.weakDisplacement(s);
    const end = s.gradient !== "free" && s.rate < th.held ? theory.equilibrium(s) : null, rescue = theory.rescue(s, column);
    const ends = end ? { R: end.R, rank: end.rank, prototype: end.prototype } : {};
    const plain = s.gradient === "ambient" && !(s.momentum > 0);
    const place = end && `one point ${simplex ? "on" : "close to"} its prototype, ${degrees(end.cosine)} from the others (${simplex ? "T18" : "T8"})`;
    if (plain && rescue.angle !== null)
      return say("rescued", "The prototypes win: one step brings every point within " +
        `${Math.ceil((180 / Math.PI) * rescue.angle)}° of its own, at any learning rate (T7).` + (end ? ` Each class then settles on ${place}.` : ""), ends);
    const t7 = plain ? ` A rescue in one step needs λ > ${rescue.least.toFixed(1)} (T7).` : "";
    if (weak) {
      const beside = s.loss === "full" ? "a line with antipodal views" : "one spot";
      const turn = `Weak prototypes do not stop collapse at this rate: beside ${beside} a run stays, each class ${two(weak.own)} off (T16)`;
      if (!end) return say("beside", `${turn}.${t7}`, {});
      return say("either", `${turn}; or each class settles on ${place}. The start decides.${t7}`, {});
    }
    const opposite = simplex && s.classes === 2; // on the line of its two prototypes no gradient is left
    const unrest = opposite ? "Two corners lie opposite, and on their line all is at rest" : "No collapsed state is at rest (T6)";
    const star = critical === null ? "" : `λ* = ${text.precise(critical, 3)} (${simplex ? "T18" : "T9"})`;
    if (end) return say("open", `${unrest}. Above ${star} each class should settle on ${place}.${t7}`, ends);
    if (critical === null) return say("open", `${unrest}${opposite ? "" : ", so the points cannot stay on one spot"}. The classes differ in size, and their places are known for equal ones. ${evened(s)}${t7}`);
    if (s.lambda <= critical)
      return say("open", `${unrest}. Below ${star} prototypes part the classes, but do not hold one on a point: it keeps some spread.${t7}`, { spread: s.lambda < 0.99 * critical });
    if (s.gradient === "free") return say("open", `${unrest}${opposite ? "" : ", so the points cannot stay on one spot"}.`);
    return say("open", `${unrest}. Above ${star} each class gathers on a point below μ_P, but at this rate it does not stay there (T29).${t7}`);
  }

  // What either kind of prototypes does at a setting, beside the weight; "" where theory does not speak of it
  function kinds(s) {
    if (!["merged", "full"].includes(s.loss) || s.network === "on") return "";
    const K = s.classes, star = (kind) => theory.criticalWeight({ ...s, prototypes: kind });
    if (star(s.prototypes) === null) return `The weight λ* that gathers a class on one point is known for classes of equal size. ${evened(s)}`;
    const axes = K > s.dim ? `K = ${K} orthonormal prototypes need d = ${K}` : `Orthonormal prototypes: classes up to 90° apart, up to rank ${K}, each on one point above λ* = ${text.precise(star("orthonormal"), 3)} (T9)`;
    return `${axes}. A simplex: ${degrees(-1 / (K - 1))} apart, rank ${K - 1}, λ* = ${text.precise(star("simplex"), 3)} (T18).`;
  }

  return { predict, ascent, kinds };
})();
