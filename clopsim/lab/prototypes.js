// Theory with class prototypes: the closed forms of bounds/rescue.py (T7), equilibrium.py (T8) and weak_prototypes.py
// (T16) for K = 3 orthonormal prototypes, symmetric keys and the sum over anchors.
"use strict";
const prototypes = (() => {
  const K = physics.CLASSES;

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
    const d = s.dim ?? 3, points = new Float64Array(d * s.n);
    for (let i = 0; i < s.n; i++)
      for (let k = 0; k < K; k++)
        points[d * i + k] = physics.label(i, s.n) === k ? Math.cos(angle) : -Math.sin(angle) / Math.sqrt(K - 1);
    const apart = (u) => Math.sqrt(u.reduce((sum, x, k) => sum + (x - points[k]) ** 2, 0));
    let run = { ...s, u: physics.perturbed(points, PERTURBATION, s.n), v: null };
    const before = apart(run.u);
    for (let k = 0; k < PERTURBED_STEPS; k++) run = physics.step(run);
    return apart(run.u) < before;
  }

  // T16: how far weak prototypes hold the embeddings off the point (merged loss) or the antipodal line (full loss) that
  // attracts without them, in the first order of lambda; null outside the regime
  const SMALL = 0.5;
  function weakDisplacement({ n, tau, loss, gradient, rate, lambda, momentum = 0 }) {
    if (gradient !== "ambient" || momentum > 0 || !(lambda > 0)) return null;
    let own = (n - 2) / (n - 1), common = 0;
    if (loss === "full") {
      const N = n / 2, q = Math.exp(-2 / tau), within = 1 / (N - 1 + N * q), a = (N - 1 - N * q) * within;
      [own, common] = [a - within, 1 + a];
    }
    const stiff = (2 / tau) * own - 2 / rate, alpha = lambda / stiff;
    if (!(own > 0 && stiff > 0 && alpha < SMALL)) return null;
    return { own: alpha, common: loss === "full" ? lambda / ((2 / tau) * common - 2 / rate) : 0 };
  }

  return { rescue, equilibrium, equilibriumAttracts, weakDisplacement };
})();
