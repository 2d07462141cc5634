// The closed forms of bounds/ in d dimensions, symmetric keys, sum over anchors. Theorem numbers as in the Python files.
"use strict";
const theory = (() => {
  // A_l = I_(d/2-1+l)(kappa) / I_(d/2-1)(kappa), l = 0 .. degrees, by the stable downward recurrence of the ratios
  function besselRatios(kappa, degrees, d = 3) {
    const order = d / 2 - 1;
    const guard = 64 + 8 * Math.ceil(Math.sqrt(kappa)); // steps in which the error of the start dies out
    const m = order + degrees + guard;
    let ratio = kappa / (m - 0.5 + Math.sqrt((m + 0.5) ** 2 + kappa ** 2));
    const ratios = new Float64Array(degrees + 1);
    ratios[0] = 1;
    for (let l = degrees + guard - 1; l > 0; l--) {
      ratio = kappa / (2 * (order + l) + kappa * ratio);
      if (l <= degrees) ratios[l] = ratio;
    }
    for (let l = 1; l <= degrees; l++) ratios[l] *= ratios[l - 1];
    return ratios;
  }

  const topDegree = (tau) => 32 + 8 * Math.ceil(Math.sqrt(1 / tau)); // past it the kernel has no weight

  // T5: e_l = l (l + d - 2) A_l (2 - A_l), the decay of a degree-l ripple of the uniform state per unit of rate;
  // T13: S A_l for A_l, because an anchor is not its own key
  function spectrum(tau, S = 1, d = 3) {
    const degrees = topDegree(tau), a = besselRatios(1 / tau, degrees, d), e = [];
    for (let l = 1; l <= degrees; l++) e.push(l * (l + d - 2) * S * a[l] * (2 - S * a[l]));
    return { e, meanLength: 1 - S * (1 - a[1]) };
  }

  // N_l, the number of spherical harmonics of degree l
  function harmonics(l, d) {
    if (l === 0) return 1;
    let count = (2 * l + d - 2) / l; // times C(l + d - 3, l - 1)
    for (let k = 1; k < l; k++) count *= (d - 2 + k) / k;
    return count;
  }

  // T13: D = e^kappa/M_0 = sum_l N_l A_l harmonics that the softmax sees; S = 1/(1 - D/n), null for fewer than two
  // points a harmonic
  const POINTS_PER_HARMONIC = 2, RESOLVED = 0.02;
  const kernelHarmonics = (tau, d = 3) => seen(tau, d, topDegree(tau));
  const seen = (tau, d, degrees) => besselRatios(1 / tau, degrees, d).reduce((sum, a, l) => sum + harmonics(l, d) * a, 0);
  function selfExclusion(tau, n, d = 3) {
    const D = kernelHarmonics(tau, d);
    return n >= POINTS_PER_HARMONIC * D ? 1 / (1 - D / n) : null;
  }

  // T13: the kernel's weight on degrees that the points do not integrate next to a ripple of one degree
  function unresolvedShare({ tau, n, loss, dim: d = 3 }, degree) {
    const points = losses[loss].views ? n / 2 : n, top = topDegree(tau);
    let strength = 0, freedom = points * (d - 1) - (d * (d - 1)) / 2; // of a design
    while (strength < top && harmonics(strength + 1, d) <= freedom) freedom -= harmonics(++strength, d);
    const resolved = strength - degree, D = kernelHarmonics(tau, d);
    return resolved < 0 ? D / points : Math.max(0, D - seen(tau, d, resolved)) / points;
  }

  // T40: what an adversary makes of a curvature of the loss; it stays where there is none. k = 4 sigma^2/(lambda tau)
  const reach = (s) => losses[s.loss].reach?.(s) ?? 0;
  const shifted = (c, s) => c / (1 - c * reach(s));
  const strength = (s) => (4 * reach(s)) / s.tau;

  // T2, T4: at complete collapse, of the views' common moves and of those apart; T12: at the line with antipodal views,
  // samples that spread, which bind first, and the pull there; T5a: of views that part in the even spread
  const viewsTogether = (s) => shifted((-2 / s.tau) * (s.n / (s.n - 1)), s);
  const viewsApart = (s) => shifted(((2 / s.tau) * (s.n - 2)) / (s.n - 1), s);
  function antipodal(s) {
    const { n, tau } = s, N = n / 2, q = Math.exp(-2 / tau), P = 1 / (N - 1 + N * q), a = (N - 1 - N * q) * P;
    return { curvature: shifted((-2 / tau) * (2 + a + P), s), pull: (2 / tau) * (1 + a) };
  }
  const viewsSpread = (s) => shifted(4 / s.tau, s);

  // Every critical rate of a setting, null where there is none. A free norm takes the tangent gradient: its rates hold
  // for the effective rate mu/|u|^2. With momentum beta the rates are T14's. They are rates of embeddings: the weights of a
  // network have none of them.
  function thresholds(s) {
    const { tau, n, loss, gradient, dim: d = 3, momentum: beta = 0, network = "off" } = s;
    if (!losses[loss].base) return ofPlaces(s);
    const S = selfExclusion(tau, n, d);
    const { e, meanLength } = spectrum(tau, S ?? 1, d); // too few points for S: the limit of many
    const ambient = gradient === "ambient", full = losses[loss].views;
    const largest = Math.max(...e), broken = e.indexOf(largest) + 1;
    const rho = !ambient ? 0 : full ? (2 * (1 - meanLength)) / tau : (-2 * meanLength) / tau;
    const flip = flipRate(shifted(largest, s), rho, beta), spin = beta > 0 && rho < 0 ? (1 - beta) ** 2 / -rho : Infinity;
    const uniform = Math.min(flip, spin);
    const left = unresolvedShare({ tau, n, loss, dim: d }, 0), leftAtBreak = unresolvedShare({ tau, n, loss, dim: d }, broken);
    const collapses = (1 - beta) * (n - 1) - (1 + beta);
    const found = {
      ...meanUnit({ tau, n }), // mu_c without momentum, what the slider counts in
      paperEdge: beta > 0 ? null : tau, // T3: the paper's range is 0 < mu < tau, for plain steps
      // T4, T14: complete collapse attracts above
      collapse: ambient && loss === "merged" && collapses > 1e-9 ? (tau * (1 - beta * beta) * (n - 1)) / collapses : null,
      uniform: uniform < Infinity ? uniform : null, // T5, T14: the uniform state breaks above (mu_A or mu_T)
      degree: flip <= spin && flip < Infinity ? broken : null, // T5: the harmonic degree that breaks first; T14: null, a spin
      alignment: full ? flipRate(viewsSpread(s), rho, beta) : null, // T5a: views come apart above, Infinity for never
      limit: S === null, // the rates of the even spread are those of many points
      // T13: n is too small to tell the two rates of the even spread
      tooSmall: {
        uniform: S === null || leftAtBreak > RESOLVED,
        alignment: full && !(ambient ? S !== null && left <= RESOLVED * meanLength : left <= RESOLVED),
      },
      unresolved: leftAtBreak,
      alignmentAtCollapse: full ? flipRate(viewsApart(s), 0, beta) : null, // T4
      line: full ? lineRate(s) : null, // T12: the line with antipodal views attracts above
      held: s.lambda > 0 && !losses[loss].reach ? prototypes.heldRate(s) : null, // T29: below, each class rests on one point beside its prototype
      safe: evenRate(tau, d),
    };
    return network === "off" ? found : { ...found, collapse: null, uniform: null, degree: null, alignment: null, line: null, held: null, paperEdge: null };
  }

  const named = ({ rate, name, formula }) => ({ unit: rate, unitName: name, unitFormula: formula });
  const meanUnit = ({ tau, n }) => named({ rate: (tau * (n - 1)) / (n - 2), name: "μ_c", formula: "τ(n\u00a0−\u00a01)/(n\u00a0−\u00a02)" });

  // Half of mu_T of many points: a rate at which points spread evenly
  const evenRate = (tau, d) => 1 / Math.max(...spectrum(tau, 1, d).e);

  // Of a loss that says where its runs may come to rest: those places, with the rates between which each attracts
  function ofPlaces(s) {
    const { places: list, balanced, unit } = losses[s.loss], K = places.number(s), own = unit?.(s);
    const found = s.network !== "on" && !(balanced && s.n % (2 * K)) ? list(s) : [];
    return {
      ...(own?.rate > 0 && own.rate < Infinity ? named(own) : meanUnit(s)), places: found, safe: evenRate(s.tau, s.dim ?? 3),
      paperEdge: null, collapse: null, line: null, uniform: null, degree: null, alignment: null, alignmentAtCollapse: null, held: null, limit: false, unresolved: 0,
      tooSmall: { uniform: false, alignment: false },
    };
  }

  // T14: 2 (1 + beta)/(h - 2 rho/(1 - beta)): a mode of curvature h flips and grows above, where a step stretches each
  // embedding by 1 + mu rho/(1 - beta)
  function flipRate(h, rho, beta) {
    const margin = h - (2 * rho) / (1 - beta);
    return margin > 0 ? (2 * (1 + beta)) / margin : Infinity;
  }

  // T12: null where the line never attracts
  function lineRate(s) {
    const { curvature, pull } = antipodal(s);
    return places.attracts({ curvatures: [curvature], pull }, s).above;
  }

  // T5, T40: cosine of the views in the swap of period two, tau/(2 mu) without an adversary; tangent gradient, no momentum
  function swapCosine(s) {
    const k = strength(s), x = (2 * s.rate) / s.tau;
    return Math.min(1, (1 + k * k) / (k + Math.sqrt(k * k + x * x * (1 + k * k))));
  }

  // T10: the swap about which the free norm's views circulate under weight decay, and the squared norm there; T40: with an
  // adversary views at cosine c attract each other 1/sqrt(1 - 2kc + k^2) times as much
  function freeNorm(s) {
    const { rate, tau, decay } = s, k = strength(s), cosine = 1 - rate * decay;
    return rate * decay > 0 && cosine > 0 ? { cosine, squaredNorm: (2 * rate) / tau / Math.sqrt(1 - 2 * k * cosine + k * k) } : null;
  }

  // Loss per point when all embeddings are equal
  let spot = {}; // kept for the setting: it is asked for at every frame
  function lossAtCollapse(s) {
    const { n, tau, loss, dim: d = 3, classes } = s, key = [n, tau, loss, d, classes].join();
    if (spot.key !== key) spot = { key, loss: physics.lossPerAnchor(Float64Array.from({ length: n * d }, (_, k) => +(k % d === 0)), { ...s, lambda: 0 }) };
    return spot.loss;
  }

  // T11: whether an ambient step of rate mu is one of gradient ascent: mu rho_i > 1 for every embedding
  const ascends = (rate, rho) => rho.every((value) => rate * value > 1);

  return {
    ...prototypes, besselRatios, spectrum, harmonics, kernelHarmonics, selfExclusion, unresolvedShare, thresholds, flipRate,
    shifted, viewsTogether, viewsApart, viewsSpread, antipodal, swapCosine, freeNorm, lossAtCollapse, ascends,
  };
})();
