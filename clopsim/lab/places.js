// Where runs of a labelled or zoo loss may come to rest, as bounds/ has it: curvatures and pull of a state, and by them the
// learning rates at which it attracts. losses.js has the losses, this file what they share.
"use strict";
const places = (() => {
  const COUNT = [, , "two", "three", "four", "five", "six", "seven", "eight"];

  const number = (s) => s.classes ?? physics.CLASSES; // K

  // The sum of every class's embeddings, one row after the other, their number, and the class of an embedding; a class
  // without any is left out
  function sums(z, s) {
    const { n } = s, d = z.length / n, K = Math.min(number(s), n / 2), own = (i) => physics.label(i, n, number(s)), sum = new Float64Array(K * d), count = new Float64Array(K);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < d; k++) sum[own(i) * d + k] += z[i * d + k];
      count[own(i)]++;
    }
    return { K, d, sum, count, own };
  }

  // T27, T14: a state of curvatures c and pull a attracts for above < mu < below; above is null where it does at no rate.
  // A minimum: below the first flip, with an inward pull and momentum below the first spin. A maximum, which an ambient
  // step turns over: by T14's criterion for T4 and T12, (1 - beta)(mu a/(1 + beta) - 2) > -mu (a + c). Its other
  // condition, mu a > (1 + beta)^2, follows: slopes have no diagonal, so that the lowest curvature c is at most -a.
  function attracts({ curvatures, pull: a }, { gradient, momentum: beta = 0 }) {
    const ambient = gradient === "ambient", low = Math.min(...curvatures), high = Math.max(...curvatures);
    if (low > 0) {
      const flip = theory.flipRate(high, ambient ? -a : 0, beta), spin = ambient && beta > 0 && a > 0 ? (1 - beta) ** 2 / a : Infinity;
      return { above: 0, below: Math.min(flip, spin) };
    }
    const margin = 2 * a + (1 + beta) * low;
    if (!ambient || high >= 0 || !(margin > 0)) return { above: null, below: null };
    return { above: (2 * (1 - beta * beta)) / margin, below: Infinity };
  }

  // T29: K balanced classes of m, each on one corner of a simplex. r, rho, nu and the patterns (alpha, omega) inside a class
  // are the loss's, as in bounds/class_losses.py.
  function simplex({ r, rho, nu = 2, patterns }, setting) {
    const { tau, dim: d = 3 } = setting, K = number(setting), s = -1 / (K - 1), x = Math.exp((s - 1) / tau), P = x / (r + (K - 1) * x), Q = (K - 1) * P, square = K / (K - 1); // h^2
    const pull = (nu / tau) * (1 - rho - Q * (1 - s)), curvatures = [];
    for (const { alpha, omega } of patterns) {
      const inside = (nu / tau) * ((1 - Q) * alpha - omega) - pull;
      if (d >= K) curvatures.push(inside); // a class spreads, across the span of the simplex
      if (K > 2) curvatures.push(inside + (nu * P * square) / tau ** 2); // and in it
    }
    if (d >= K) curvatures.push((2 * K * P) / tau); // all leave the span
    if (K > 2) curvatures.push((2 * P * (K - 2) * square) / tau + (P * square ** 2 * (2 - (Q * (K - 2)) / (K - 1))) / tau ** 2);
    if (K > 3) curvatures.push((4 * P * square) / tau ** 2);
    return { curvatures, pull };
  }

  // T30: half of every class at each end of a line, the two views of a sample at opposite ends. Slopes of a pair of one
  // class at the same end, at the other, of two views; of two classes at the same end, at opposite ones.
  function line([same, other, view, near, far], s) {
    const K = number(s), H = s.n / K / 2, beyond = (K - 1) * H, alike = (H - 1) * (same - other) - view, opposite = (H - 1) * (same + other) + view;
    const pull = alike + beyond * (near - far);
    const moves = [opposite + beyond * (near + far)];
    if (K > 1) moves.push(alike - H * (near - far), opposite - H * (near + far));
    if (H > 1) moves.push(-same + other - view, -same - other + view);
    return { curvatures: moves.map((c) => c - pull), pull };
  }

  // The states themselves, with the sentence for where each holds and for where it is lost, and the name of its rate
  const classPoints = (state, s, by) => ({
    is: "classes", shows: "each class on one point", ...attracts(state, s), R: 0, rank: number(s) - 1,
    holds: `each class gathers on one point, the ${COUNT[number(s)]} on a simplex, at cosine −1${number(s) > 2 ? `/${number(s) - 1}` : ""} to each other; ` +
      (attracts(state, s).below === Infinity ? "that attracts at any rate (T29)" : "below μ_S that attracts (T29)"),
    lost: Math.min(...state.curvatures) > 0 ? "above μ_S the simplex of the classes’ points breaks (T29)"
      : `no class stays on one point, ${by}`,
    mark: ["μ_S", "classes break", "the simplex of the class points breaks (T29)"],
  });
  // Every way to part the points over the ends of a line is at rest (T1), with a rate of its own. T30's: half of every class
  // at each end and, where a view is not one class-mate of many to the loss, the two of a sample opposite.
  const balancedLine = (state, s, { views = false } = {}) => {
    const known = `half of every class ${views ? "and one view of every sample " : ""}at each end`;
    return {
      is: "line", ...attracts(state, s), rank: 1, holds: `a line with ${known} attracts (T30)`, known: `${known} (T30)`, arranged: (z) => (!views || opposite(z, s)) && halved(z, s),
      mark: ["μ_line", "line attracts", "the balanced line attracts (T30)"],
    };
  };
  // Of points on a line: the end of each, 1 or -1; whether views are opposite; whether every class is half at each end
  const side = (z, s) => Array.from({ length: s.n }, (_, i) => Math.sign(geometry.dot(z, 0, i, z.length / s.n)));
  const opposite = (z, s) => side(z, s).every((end, i, all) => end === -all[(i + s.n / 2) % s.n]);
  function halved(z, s) {
    const sums = new Float64Array(number(s));
    side(z, s).forEach((end, i) => { sums[physics.label(i, s.n, number(s))] += end; });
    return sums.every((sum) => sum === 0);
  }
  const onePoint = (state, s, theorem) => ({
    is: "point", ...attracts(state, s), R: 1, rank: 1, holds: `all points end on one spot: complete collapse attracts (${theorem})`,
    mark: ["μ_point", "point attracts", `complete collapse attracts (${theorem})`],
  });

  // Whether a state attracts at a setting's rate; a free norm grows until its rate is safe
  const holds = ({ above, below }, s) => above !== null && (s.gradient === "free" ? above === 0 : s.rate >= above && s.rate < below);

  // Whether the points rest in one of these states; seen.moved: the largest change of a cosine in the last step
  function reached(place, seen, s) {
    if (seen.moved > outcome.RESTLESS && place.is !== "swap") return false;
    const near = (x, y, slack) => y === undefined || Math.abs(x - y) <= slack;
    const d = s.dim ?? 3;
    if (!near(seen.R, place.R, 0.1) || !near(seen.rank, place.rank, (place.slack ?? 0.04) * d) || !near(seen.loss, place.loss?.(s), 0.02)) return false;
    const known = { point: seen.state === "point", line: seen.state === "line", classes: seen.within < outcome.GATHERED };
    return (known[place.is] ?? true) && (place.at?.(seen) ?? true);
  }

  return { number, sums, attracts, simplex, line, classPoints, balancedLine, onePoint, side, opposite, holds, reached };
})();
