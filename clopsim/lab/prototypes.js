// Theory with class prototypes: the closed forms of bounds/rescue.py (T7), equiangular.py (T18; orthonormal: T8 and T9),
// weak_prototypes.py (T16) and class_state.py (T29) for K orthonormal prototypes or a simplex, symmetric keys and the sum
// over anchors.
"use strict";
const prototypes = (() => {
  // K classes of m = n/K embeddings; top: how far a class can turn away from its prototype, where the classes are a simplex
  function shape({ n, tau, loss, classes: K = physics.CLASSES, prototypes: kind = "orthonormal", dim: d = 3 }) {
    const simplex = kind === "simplex";
    return { K, d, tau, loss, simplex, m: n / K, top: simplex ? 0 : Math.asin(1 / Math.sqrt(K)), balanced: n % (2 * K) === 0 };
  }

  // T7: after ONE ambient step the angle to the prototype is at most theta = arcsin((H + 1/mu)/lambda), where
  // H = (1 + c)/tau (full loss: (3 + c)/tau), for lambda > least = H + 1/mu; c: the largest column sum. share bounds
  // the energy of the leading direction, of orthonormal prototypes.
  function rescue(s, column = 1) {
    const { K, simplex } = shape(s), h = ((s.loss === "full" ? 3 : 1) + column) / s.tau, least = h + 1 / s.rate;
    if (!(s.lambda > least)) return { least, angle: null, share: null };
    const angle = Math.asin(least / s.lambda);
    return { least, angle, share: simplex ? null : Math.cos(Math.max(0, Math.acos(1 / Math.sqrt(K)) - angle)) ** 2 };
  }

  // Where a rising function changes sign between low and high, to neighbouring numbers
  function signChange(f, low, high) {
    for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2)
      if (f(middle) <= 0) low = middle;
      else high = middle;
    return high;
  }

  // (1 - s)/tau, s the cosine of two classes that sit at the sine c from the plane of a simplex
  const room = (c, { K, tau }) => (K * (1 - c * c)) / ((K - 1) * tau);
  const share = (x, { K, m }) => (m * x) / (m - 1 + (K - 1) * m * x); // P, the softmax's of one other class

  // T8, T18: the class-collapsed state of a weight (K balanced classes): each at this angle from its prototype, turned away
  // from the sum of all; a simplex holds it at its corners at any weight. null where the classes are not balanced.
  function equilibrium(s) {
    const of = shape(s), { K, tau, top } = of;
    if (!of.balanced || !(s.lambda > 0)) return null;
    const alpha = signChange((a) => { // what is left to turn
      const c = Math.sin(a), pull = (K * share(Math.exp(-room(c, of)), of)) / tau;
      return pull * 2 * c * Math.sqrt(1 - c * c) - s.lambda * Math.sin(top - a);
    }, 0, top);
    const angle = top - alpha, cosine = (K * Math.sin(alpha) ** 2 - 1) / (K - 1);
    const energy = [Math.sin(alpha) ** 2, ...Array(K - 1).fill((1 - cosine) / K)];
    const rank = Math.exp(-energy.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0));
    return { angle, cosine, prototype: Math.cos(angle), rank, R: Math.sin(alpha) };
  }

  // T9, T18: the weight lambda* above which each class falls onto one point. Views pull together, so the full loss has the same
  // one, or 0 for one sample a class, which has nothing else inside. null where the classes are not balanced.
  function criticalWeight(s) {
    const of = shape(s), { K, d, m, tau, top, simplex } = of;
    if (!of.balanced) return null;
    if (of.loss === "full" && m === 2) return 0;
    const scale = (x) => ((2 / tau) * m) / (m - 1 + (K - 1) * m * x);
    if (simplex) {
      const x = Math.exp(-room(0, of));
      return scale(x) * (-Math.expm1(-room(0, of)) - (d === K - 1 ? x * room(0, of) : 0));
    }
    const resistance = (c, x) => { // V: what the softmax's variance adds where there is no room beside the prototypes
      if (d > K) return 0;
      const along = (K * K * c * c * (1 - c * c) * (2 / (K - 1) - share(x, of))) / (2 * tau);
      return K === 2 ? along : Math.min(along, room(c, of));
    };
    const alpha = signChange((a) => {
      const c = Math.sin(a), x = Math.exp(-room(c, of));
      return Math.sin(top - a) * (Math.expm1(-room(c, of)) + x * resistance(c, x)) + x * K * c * Math.cos(top);
    }, 0, top);
    const c = Math.sin(alpha), x = Math.exp(-room(c, of));
    return (scale(x) * (-Math.expm1(-room(c, of)) - x * (resistance(c, x) - K * c * c))) / Math.cos(top - alpha);
  }

  // T29: the rate below which the state of equilibrium attracts, with T27 and T14; Infinity where no rate is too large, null
  // at or under the critical weight, where none is small enough.
  function heldRate(s) {
    const of = shape(s), end = equilibrium(s), full = s.loss === "full", alpha = -1 / (of.m - 1);
    if (!end) return null;
    const patterns = (full ? [-1, ...(of.m > 2 ? [1] : [])] : [0]).map((omega) => ({ alpha, omega })); // of a class's points: views apart, together
    const loss = { r: (of.m - 1) / of.m, rho: full ? 1 : 0, patterns }, state = of.simplex ? onCorners(loss, s) : besideAxes(loss, of, { ...end, lambda: s.lambda });
    return Math.min(...state.curvatures) > 0 ? places.attracts(state, s).below : null;
  }

  // A simplex holds every point at its prototype, so its weight adds to every curvature, turns of the whole included
  function onCorners(loss, s) {
    const { curvatures, pull } = places.simplex(loss, s);
    return { curvatures: [0, ...curvatures].map((c) => c + s.lambda), pull: pull - s.lambda };
  }

  // Every curvature beside orthonormal prototypes, as bounds/class_means.held_means and class_state have them
  function besideAxes({ rho, patterns }, of, { angle, cosine, lambda }) {
    const { K, d, tau } = of, p = Math.cos(angle), q = -Math.sin(angle) / Math.sqrt(K - 1), h = p - q, W = Math.max(0, p + (K - 1) * q);
    const P = share(Math.exp((cosine - 1) / tau), of), Q = (K - 1) * P, pull = (2 / tau) * (1 - rho - Q * (1 - cosine));
    const A = lambda * p - (2 * P * W * W) / tau, square = (h * h * W * W) / ((K - 1) * tau * tau);
    const c = [A + (2 * P * (K - 1) * h * h) / tau + 4 * (Q - Q * Q) * square, ...standard(of, P, q / p, h).map((x) => A + x)];
    if (d > K) c.push(A, A + (2 * K * P) / tau); // classes leave the span of the prototypes
    if (K > 2) c.push(A);
    if (K > 3) c.push(A + (4 * h * h * P) / (tau * tau));
    for (const { alpha, omega } of patterns) {
      const inside = (2 / tau) * ((1 - Q) * alpha - omega) - pull + lambda * p;
      c.push(inside + (2 * Q - Q * Q) * square);
      if (d > K) c.push(inside);
      if (K > 2) c.push(inside + (2 * P * h * h) / (tau * tau));
    }
    return { curvatures: c, pull: pull - lambda * p };
  }

  // The standard levels of class means beyond A: eigenvalues of u gg' + v ff' against K - 11' + t^2 rr', two by two
  function standard({ K, tau }, P, t, h) {
    const r = [K - 1, -1], f = r.map((x) => h + h * t * x), g = [-1 - t * r[0], K - 1 - t * r[1]];
    const u = (2 * P) / tau, v = ((K - 2) * (2 * P - P * P * (K - 2))) / (tau * tau);
    const form = (a, x, b, y, i, j) => a * x[i] * x[j] + b * y[i] * y[j];
    const G = (i, j) => form(u, g, v, f, i, j), N = (i, j) => form(-1, [1, 1], t * t, r, i, j) + K * (i === j);
    if (K === 2) return [G(0, 0) / N(0, 0)];
    const size = N(0, 0) * N(1, 1) - N(0, 1) ** 2, half = (G(0, 0) * N(1, 1) + G(1, 1) * N(0, 0) - 2 * G(0, 1) * N(0, 1)) / size / 2;
    const product = (u * v * (g[0] * f[1] - g[1] * f[0]) ** 2) / size, high = half + Math.sqrt(Math.max(0, half * half - product));
    return [product / high, high];
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

  return { rescue, equilibrium, criticalWeight, heldRate, weakDisplacement };
})();
