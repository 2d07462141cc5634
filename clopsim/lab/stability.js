// What one step does to a small disturbance of the states that theory knows: factors, as in bounds/collapse.py (T4),
// uniform.py (T5), alignment.py (T5a), antipodal_line.py (T12), with an adversary entropic_adversary.py (T40) and, with momentum, heavy_ball.py (T14). Above 1 the run
// leaves the state, below 1 it returns.
"use strict";
const stability = (() => {
  // Spectral radius of a 2 x 2 map
  function radius(trace, det) {
    const root = trace * trace - 4 * det;
    return root < 0 ? Math.sqrt(det) : (Math.abs(trace) + Math.sqrt(root)) / 2;
  }

  // T14: the heavy ball's map of a displacement of curvature h and its velocity, where a resting embedding is stretched
  // by r = 1 + mu rho/(1 - beta) at every step; without momentum |1 - mu h/r|
  function ball(h, rho, rate, beta) {
    const r = 1 + (rate * rho) / (1 - beta);
    return radius((1 - rate * (h - rho)) / r + beta, beta / r);
  }

  // The same at a point or a line that the step throws to the other side: y = mu |v| of the alternating velocity, push the
  // gradient of the displacement times mu; null while the flip does not last
  const flipped = (push, y, beta) => (y > 1 ? radius((1 - push) / (1 - y) - beta, beta / (y - 1)) : null);

  // At complete collapse, for zero-mean disturbances. merged: spread; full: views move together, apart
  function collapse(s) {
    const { n, tau, loss, gradient, rate, momentum: beta = 0 } = s, x = (2 * rate) / tau, h = theory.viewsTogether(s);
    if (losses[loss].views) return { together: ball(h, 0, rate, beta), apart: ball(theory.viewsApart(s), 0, rate, beta) };
    if (gradient !== "ambient") return { spread: ball(h, 0, rate, beta) };
    if (x < 1 - beta) return { spread: ball(h, -2 / tau, rate, beta) };
    return { spread: flipped(-x / (n - 1), x / (1 + beta), beta) };
  }

  // At the antipodal line, for samples that spread, the two views of each shifted alike: the one that binds first
  function line(s) {
    const { gradient, rate, momentum: beta = 0 } = s, { curvature: h, pull } = theory.antipodal(s);
    if (gradient !== "ambient") return ball(h, 0, rate, beta);
    if (rate * pull < 1 - beta) return ball(h, -pull, rate, beta);
    return flipped(rate * (h + pull), (rate * pull) / (1 + beta), beta);
  }

  // In the uniform state: the ripple that breaks it first, those of degree 1 to 4, and a small difference of two views
  function uniform(s) {
    const { tau, n, loss, gradient, rate, dim = 3, momentum: beta = 0 } = s;
    const { e, meanLength } = theory.spectrum(tau, theory.selfExclusion(tau, n, dim) ?? 1, dim);
    const rho = gradient !== "ambient" ? 0 : losses[loss].views ? (2 * (1 - meanLength)) / tau : (-2 * meanLength) / tau;
    return {
      ripple: ball(theory.shifted(Math.max(...e), s), rho, rate, beta), degrees: e.slice(0, 4).map((h) => ball(theory.shifted(h, s), rho, rate, beta)),
      views: ball(theory.viewsSpread(s), rho, rate, beta),
    };
  }

  return { ball, collapse, line, uniform };
})();
