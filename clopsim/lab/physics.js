// The dynamics of clopsim on the sphere in d dimensions: clopsim/sphere/gradient.py and dynamics.py in double precision,
// for symmetric keys and the sum over anchors. No drawing here, and no state outside the arguments.
"use strict";
const physics = (() => {
  const { unit, length, mean } = geometry;
  const CLASSES = 3; // where a setting names no other number

  // ---- one step -------------------------------------------------------------------------------------------------

  let scratch = new Float64Array(0);
  const matrix = (n) => (scratch.length < n * n ? (scratch = new Float64Array(n * n)) : scratch);

  // w_ij = exp(s_ij / tau) above the diagonal, and its row sums. Cosines are bounded, so for tau >= 0.02 nothing
  // overflows without the row maximum, and the symmetry of w halves the work.
  function kernel(z, n, tau) {
    const d = z.length / n, w = matrix(n), rows = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = rows[i];
      for (let j = i + 1; j < n; j++) {
        let s = 0;
        for (let a = i * d, b = j * d, end = a + d; a < end; a++, b++) s += z[a] * z[b];
        const e = Math.exp(s / tau);
        w[i * n + j] = e;
        sum += e;
        rows[j] += e;
      }
      rows[i] = sum;
    }
    return { w, rows };
  }

  // The softmax over all others, of weighted anchors where the loss has weights, pulled to the weighted mean p_i of an anchor's positives where the loss has some, their
  // weights symmetric: g_i = (1/tau) [sum_a (P_ia + P_ai) z_a - 2 p_i]
  function contrast(z, s, { positives, weights }) {
    const { n, tau } = s, d = z.length / n, { w, rows } = kernel(z, n, tau), g = new Float64Array(n * d), logs = rows.map(Math.log);
    const counts = weights?.(logs), inverse = rows.map((r, i) => (counts ? counts[i] : 1) / r);
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) {
        const p = w[i * n + j] * (inverse[i] + inverse[j]);
        for (let a = i * d, b = j * d, end = a + d; a < end; a++, b++) {
          g[a] += p * z[b];
          g[b] += p * z[a];
        }
      }
    const pulled = positives?.(z, s);
    let loss = logs.reduce((sum, x, i) => sum + (counts ? counts[i] : 1) * x, 0);
    for (let k = 0; k < n * d; k++) {
      if (pulled) {
        g[k] -= 2 * pulled[k];
        loss -= (pulled[k] * z[k]) / tau;
      }
      g[k] /= tau;
    }
    return { g, loss: loss / n };
  }

  // The gradient of the summed loss, prototypes: - lambda c_y(i); tangent: projected. loss: per point, without prototypes
  function gradient(z, s) {
    const { n, classes: K = CLASSES } = s, d = z.length / n, c = prototypes(s, d), own = losses[s.loss];
    const { g, loss } = own.gradient ? own.gradient(z, s) : contrast(z, s, own);
    for (let i = 0; i < n; i++) {
      if (s.lambda > 0) c[label(i, n, K)].forEach((x, k) => { g[i * d + k] -= s.lambda * x; });
      if (s.gradient === "ambient") continue;
      let along = 0;
      for (let k = i * d; k < (i + 1) * d; k++) along += z[k] * g[k];
      for (let k = i * d; k < (i + 1) * d; k++) g[k] -= along * z[k];
    }
    return { g, loss };
  }

  // The class of an embedding, one of K, and so its prototype. The two views of a sample share it.
  const label = (i, n, K = CLASSES) => (i % (n / 2)) % K;

  // The K prototypes, unit rows of d coordinates: orthonormal, the first K axes; or a simplex, a e_k + b (1, .., 1) on the
  // first K axes. That takes K <= d; a simplex of d + 1 has its last corner at -(1, .., 1)/sqrt(d).
  let known = {};
  function prototypes({ classes: K = CLASSES, prototypes: kind = "orthonormal" }, d) {
    const key = [K, kind, d].join();
    if (known.key === key) return known.rows;
    const wide = Math.min(K, d), a = Math.sqrt(K / (K - 1)), b = (K > d ? 1 / Math.sqrt(d) - a : -a) / wide;
    const entry = (k, j) => (kind === "orthonormal" ? +(j === k) : j >= wide ? 0 : k === d ? -1 / Math.sqrt(d) : a * (j === k) + b);
    known = { key, rows: Array.from({ length: K }, (_, k) => Float64Array.from({ length: d }, (_, j) => entry(k, j))) };
    return known.rows;
  }

  // rho_i = z_i . g_i of the ambient gradient (T11)
  function radial(z, s) {
    const { g } = gradient(z, { ...s, gradient: "ambient" }), d = z.length / s.n;
    return Float64Array.from({ length: s.n }, (_, i) => {
      let along = 0;
      for (let k = i * d; k < (i + 1) * d; k++) along += z[k] * g[k];
      return along;
    });
  }

  // One step of s = {n, u, v, rate, tau, loss, gradient, decay, lambda, momentum}: the next u and v, and the loss at the
  // old u. With momentum beta, v <- beta v + g takes the place of g, as in torch.optim.SGD; v is 0 for a run from rest.
  //   ambient, tangent: u <- normalise(u - mu g);   free: u <- (1 - mu w) u - (mu/|u|) t, the loss sees u/|u|
  // u turns to nan where an embedding is sent to the origin, as in Python.
  function step(s) {
    const { n, momentum: beta = 0 } = s, free = s.gradient === "free", d = s.u.length / n;
    const z = free ? unit(s.u, n) : s.u;
    const { g, loss } = gradient(z, s);
    if (free)
      for (let i = 0; i < n; i++) {
        const size = length(s.u, i, d);
        for (let k = i * d; k < (i + 1) * d; k++) g[k] = g[k] / size + s.decay * s.u[k];
      }
    const v = beta > 0 ? g.map((x, k) => beta * (s.v ? s.v[k] : 0) + x) : g;
    const next = s.u.map((x, k) => x - s.rate * v[k]);
    return { ...s, u: free ? next : unit(next, n), v: beta > 0 ? v : null, count: s.count + 1, lossBefore: loss };
  }

  // ---- observables of the loss ----------------------------------------------------------------------------------

  const lossPerAnchor = (z, s) => gradient(z, s).loss;

  // c_a = sum_i P_ia: how often embedding a is hit as a key; 1 each in a balanced state
  function columnSums(z, s) {
    const { w, rows } = kernel(z, s.n, s.tau);
    const sums = new Float64Array(s.n);
    for (let i = 0; i < s.n; i++)
      for (let j = i + 1; j < s.n; j++) {
        sums[j] += w[i * s.n + j] / rows[i];
        sums[i] += w[i * s.n + j] / rows[j];
      }
    return sums;
  }

  // Cosine of embedding i with its prototype
  const alignment = (z, i, c, n) => c[label(i, n, c.length)].reduce((sum, x, k) => sum + x * z[(i * z.length) / n + k], 0);

  // The cosine of every embedding with its prototype of the setting s
  function alignments(z, n, s = {}) {
    const c = prototypes(s, z.length / n);
    return Float64Array.from({ length: n }, (_, i) => alignment(z, i, c, n));
  }

  // As geometry.observe, and the mean cosine of an embedding with its prototype
  const observe = (z, n, s) => ({ ...geometry.observe(z, n), prototype: alignments(z, n, s).reduce((sum, x) => sum + x, 0) / n });

  // ---- random numbers and starts --------------------------------------------------------------------------------

  // mulberry32: a seed gives the same points in every browser
  function normals(seed) {
    let a = Math.imul(seed, 0x9e3779b1) >>> 0;
    const uniform = () => {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), a | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  const SPREAD = 0.02; // radians: near collapse
  const VIEW_ANGLE = 0.1; // radians: between the two views of a sample
  const RELAXATION_STEPS = 100;

  // Every point moved by about an angle; on the sphere of three dimensions unless n says otherwise
  function perturbed(z, angle, n = z.length / 3, normal = normals(1)) {
    const d = z.length / n;
    return unit(z.map((x) => x + (angle / Math.sqrt(d)) * normal()), n);
  }

  // Where the embeddings start; safeRate is a rate at which the uniform state is stable for this tau
  function start(kind, { n, tau, seed, safeRate, dim = 3 }) {
    const normal = normals(seed);
    const draw = (count) => unit(Float64Array.from({ length: dim * count }, normal), count);
    if (kind === "random") return draw(n);
    if (kind === "collapse") {
      const point = draw(1);
      return perturbed(Float64Array.from({ length: dim * n }, (_, k) => point[k % dim]), SPREAD, n, normal);
    }
    const relax = (points) => {
      let s = { n: points.length / dim, u: points, rate: safeRate, tau, loss: "merged", gradient: "tangent", lambda: 0 };
      for (let k = 0; k < RELAXATION_STEPS; k++) s = step(s);
      return s.u;
    };
    if (kind === "uniform") return relax(draw(n));
    const samples = relax(draw(n / 2)); // "views"
    return perturbed(Float64Array.from([...samples, ...samples]), VIEW_ANGLE, n, normal);
  }

  return {
    ...geometry, observe, kernel, contrast, CLASSES, SPREAD, normals, gradient, step, radial, label, prototypes, alignment, alignments, mean, lossPerAnchor, columnSums, perturbed, start,
  };
})();
