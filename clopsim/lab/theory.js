// The closed forms of bounds/ at d = 3, symmetric keys, sum over anchors. Theorem numbers as in the Python files.
"use strict";
const theory = (() => {
  const D = physics.D;
  const K = physics.CLASSES;

  // A_l = I_(1/2+l)(kappa) / I_(1/2)(kappa), l = 0 .. degrees, by the stable downward recurrence of the ratios
  function besselRatios(kappa, degrees) {
    const order = D / 2 - 1;
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

  // T5: e_l = l (l + d - 2) A_l (2 - A_l), the decay of a degree-l ripple of the uniform state per unit of rate;
  // T13: S A_l for A_l, because an anchor is not its own key
  function spectrum(tau, S = 1) {
    const degrees = 32 + 8 * Math.ceil(Math.sqrt(1 / tau));
    const a = besselRatios(1 / tau, degrees);
    const e = [];
    for (let l = 1; l <= degrees; l++) e.push(l * (l + D - 2) * S * a[l] * (2 - S * a[l]));
    return { e, meanLength: 1 - S * (1 - a[1]) };
  }

  // T13: D = e^kappa/M_0 harmonics that the softmax sees, M_0 = sinh(kappa)/kappa at d = 3; S = 1/(1 - D/n), null for
  // fewer than two points a harmonic
  const POINTS_PER_HARMONIC = 2, RESOLVED = 0.02;
  const kernelHarmonics = (tau) => 2 / tau / -Math.expm1(-2 / tau);
  const selfExclusion = (tau, n) =>
    n >= POINTS_PER_HARMONIC * kernelHarmonics(tau) ? 1 / (1 - kernelHarmonics(tau) / n) : null;

  // T13: the kernel's weight on degrees that the points do not integrate next to a ripple of one degree
  function unresolvedShare({ tau, n, loss }, degree) {
    const points = loss === "full" ? n / 2 : n;
    const strength = Math.floor(Math.sqrt(Math.max(0, 2 * points - 2))) - 1; // (t + 1)^2 - 1 <= 2 points - 3
    const top = 32 + 8 * Math.ceil(Math.sqrt(1 / tau));
    const resolved = Math.min(strength, top) - degree;
    if (resolved < 0) return kernelHarmonics(tau) / points;
    const a = besselRatios(1 / tau, Math.max(resolved, 1));
    let seen = 1;
    for (let l = 1; l <= resolved; l++) seen += (2 * l + 1) * a[l];
    return Math.max(0, kernelHarmonics(tau) - seen) / points;
  }

  // Every critical rate of a setting, null where there is none. A free norm takes the tangent gradient: its rates hold
  // for the effective rate mu/|u|^2.
  function thresholds({ tau, n, loss, gradient }) {
    const S = selfExclusion(tau, n);
    const { e, meanLength } = spectrum(tau, S ?? 1); // too few points for S: the limit of many
    const ambient = gradient === "ambient", full = loss === "full";
    const largest = Math.max(...e);
    const radial = !ambient ? 0 : full ? (2 * (1 - meanLength)) / tau : (-2 * meanLength) / tau;
    const margin = largest - 2 * radial;
    const exact = (tau * (n - 1)) / (n - 2);
    const degree = e.indexOf(largest) + 1;
    const left = unresolvedShare({ tau, n, loss }, 0);
    return {
      unit: exact, // mu_c, what the slider counts in
      paperEdge: tau, // T3: the paper's range is 0 < mu < tau
      collapse: ambient && !full ? exact : null, // T4: complete collapse attracts above
      uniform: margin > 0 ? 2 / margin : null, // T5: the uniform state breaks above (mu_A or mu_T)
      degree: margin > 0 ? degree : null, // T5: the harmonic degree that breaks first
      // T5a: views come apart above
      alignment: !full ? null : !ambient ? tau / 2 : meanLength > 0 ? tau / (2 * meanLength) : Infinity,
      // T13: n is too small to tell the two rates of the even spread
      tooSmall: {
        uniform: S === null || unresolvedShare({ tau, n, loss }, degree) > RESOLVED,
        alignment: full && !(ambient ? S !== null && left <= RESOLVED * meanLength : left <= RESOLVED),
      },
      alignmentAtCollapse: full ? exact : null, // T4
      line: ambient && full ? lineRate(tau, n / 2) : null, // T12: the line with antipodal views attracts above
      safe: 1 / Math.max(...spectrum(tau).e), // half of mu_T of many points: a rate at which points spread evenly
    };
  }

  // T12: mu_line = tau ((N - 1) + N q)/((N - 2) - N q), q = e^(-2/tau), N samples; null where the line never attracts
  function lineRate(tau, N) {
    const q = Math.exp(-2 / tau), margin = N - 2 - N * q;
    return margin > 0 ? (tau * (N - 1 + N * q)) / margin : null;
  }

  // T5: cosine of the views in the swap of period two; tangent gradient, full loss
  const swapCosine = (rate, tau) => Math.min(1, tau / (2 * rate));

  // T10: cosine of the views and |u|^2 of the swap about which a free norm with decay circulates; null outside 0 < mu w < 1
  const freeNorm = (rate, tau, decay) =>
    rate * decay > 0 && rate * decay < 1 ? { cosine: 1 - rate * decay, squaredNorm: (2 * rate) / tau } : null;

  // Loss per anchor when all embeddings are equal
  const lossAtCollapse = ({ n, tau, loss }) => Math.log(n - 1) + (loss === "merged" ? 1 / tau : 0);

  // T11: whether an ambient step of rate mu is one of gradient ascent: mu rho_i > 1 for every embedding
  const ascends = (rate, rho) => rho.every((value) => rate * value > 1);

  // T7: after ONE ambient step the angle to the prototype is at most theta = arcsin((H + 1/mu)/lambda), where
  // H = (1 + c)/tau (full loss: (3 + c)/tau), for lambda > least = H + 1/mu; c: the largest column sum. share bounds
  // the energy of the leading direction.
  function rescue({ rate, tau, lambda, loss }, column = 1) {
    const h = ((loss === "full" ? 3 : 1) + column) / tau;
    const least = h + 1 / rate;
    if (!(lambda > least)) return { least, angle: null, share: null };
    const angle = Math.asin(least / lambda);
    return { least, angle, share: Math.cos(Math.max(0, Math.acos(1 / Math.sqrt(K)) - angle)) ** 2 };
  }

  // T8: the class-collapsed state between simplex ETF and orthonormal frame (tangent gradient, K balanced classes of
  // m = n/K >= 1 points): v_k = cos(theta) c_k - sin(theta) b_k. null where the classes are not balanced.
  function equilibrium({ n, tau, lambda }) {
    if (n % (2 * K) || !(lambda > 0)) return null;
    const m = n / K, root = Math.sqrt(K - 1);
    const cosine = (t) => {
      const p = Math.cos(t), q = -Math.sin(t) / root;
      return 2 * p * q + (K - 2) * q * q;
    };
    const excess = (t) => {
      const other = m * Math.exp((cosine(t) - 1) / tau);
      const share = other / (m - 1 + (K - 1) * other);
      const pull = (2 * share) / tau;
      const turn = (Math.cos(t) - root * Math.sin(t)) * (Math.sin(t) + root * Math.cos(t));
      return pull * turn - lambda * Math.sin(t);
    };
    let low = 0, high = Math.atan(1 / root);
    for (let k = 0; k < 100; k++) {
      const middle = (low + high) / 2;
      if (excess(middle) > 0) low = middle;
      else high = middle;
    }
    const s = cosine(low);
    const energy = [(1 + (K - 1) * s) / K, ...Array(K - 1).fill((1 - s) / K)];
    const rank = Math.exp(-energy.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0));
    return { angle: low, cosine: s, prototype: Math.cos(low), rank, R: Math.sqrt(energy[0]) };
  }

  // Whether T8's state attracts at this rate: a small perturbation of it must fade under the step itself. That covers
  // T9 (too small a weight lets the classes spread) and steps too large for the prototypes' pull, which T8 leaves open.
  const PERTURBATION = 1e-4, PERTURBED_STEPS = 40;
  function equilibriumAttracts(s, { angle }) {
    const points = new Float64Array(3 * s.n);
    for (let i = 0; i < s.n; i++)
      for (let k = 0; k < 3; k++)
        points[3 * i + k] = physics.label(i, s.n) === k ? Math.cos(angle) : -Math.sin(angle) / Math.sqrt(K - 1);
    const apart = (u) => Math.sqrt(u.reduce((sum, x, k) => sum + (x - points[k]) ** 2, 0));
    let run = { ...s, u: physics.perturbed(points, PERTURBATION) };
    const before = apart(run.u);
    for (let k = 0; k < PERTURBED_STEPS; k++) run = physics.step(run);
    return apart(run.u) < before;
  }

  return {
    besselRatios, kernelHarmonics, selfExclusion, unresolvedShare, thresholds, swapCosine, freeNorm, lossAtCollapse, ascends, rescue, equilibrium, equilibriumAttracts,
  };
})();
