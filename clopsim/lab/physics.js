// The dynamics of clopsim on the sphere in three dimensions: clopsim/gradient.py, dynamics.py and metrics.py in double
// precision, for symmetric keys and the sum over anchors. No drawing here, and no state outside the arguments.
"use strict";
const physics = (() => {
  const D = 3;
  const CLASSES = 3; // a space of three dimensions holds no more than three orthonormal prototypes: its axes
  const EPS = 2 ** -52;

  // ---- one step -------------------------------------------------------------------------------------------------

  let scratch = new Float64Array(0);
  const matrix = (n) => (scratch.length < n * n ? (scratch = new Float64Array(n * n)) : scratch);

  // w_ij = exp(s_ij / tau) above the diagonal, and its row sums. Cosines are bounded, so for tau >= 0.02 nothing
  // overflows without the row maximum, and the symmetry of w halves the work.
  function kernel(z, n, tau) {
    const w = matrix(n);
    const rows = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const x = z[3 * i], y = z[3 * i + 1], v = z[3 * i + 2];
      let sum = rows[i];
      for (let j = i + 1; j < n; j++) {
        const e = Math.exp((x * z[3 * j] + y * z[3 * j + 1] + v * z[3 * j + 2]) / tau);
        w[i * n + j] = e;
        sum += e;
        rows[j] += e;
      }
      rows[i] = sum;
    }
    return { w, rows };
  }

  // g_i = (1/tau) sum_a (P_ia + P_ai) z_a; full loss: - (2/tau) z_j(i); prototypes: - lambda c_y(i); tangent: projected
  function gradient(z, s) {
    const { n, tau } = s;
    const { w, rows } = kernel(z, n, tau);
    const inverse = rows.map((r) => 1 / r);
    const g = new Float64Array(3 * n);
    for (let i = 0; i < n; i++) {
      const x = z[3 * i], y = z[3 * i + 1], v = z[3 * i + 2];
      let gx = g[3 * i], gy = g[3 * i + 1], gv = g[3 * i + 2];
      for (let j = i + 1; j < n; j++) {
        const p = w[i * n + j] * (inverse[i] + inverse[j]);
        gx += p * z[3 * j];
        gy += p * z[3 * j + 1];
        gv += p * z[3 * j + 2];
        g[3 * j] += p * x;
        g[3 * j + 1] += p * y;
        g[3 * j + 2] += p * v;
      }
      g[3 * i] = gx;
      g[3 * i + 1] = gy;
      g[3 * i + 2] = gv;
    }
    const half = n / 2;
    for (let i = 0; i < n; i++) {
      const other = i < half ? i + half : i - half;
      for (let k = 0; k < D; k++) {
        if (s.loss === "full") g[3 * i + k] -= 2 * z[3 * other + k];
        g[3 * i + k] /= tau;
      }
      if (s.lambda > 0) g[3 * i + label(i, n)] -= s.lambda;
      if (s.gradient !== "ambient") {
        const along = z[3 * i] * g[3 * i] + z[3 * i + 1] * g[3 * i + 1] + z[3 * i + 2] * g[3 * i + 2];
        for (let k = 0; k < D; k++) g[3 * i + k] -= along * z[3 * i + k];
      }
    }
    return { g, rows };
  }

  // The class of an embedding, and so its prototype, the axis of that number. The two views of a sample share it.
  const label = (i, n) => (i % (n / 2)) % CLASSES;

  // rho_i = z_i . g_i of the ambient gradient (T11)
  function radial(z, s) {
    const { g } = gradient(z, { ...s, gradient: "ambient" });
    return Float64Array.from({ length: s.n }, (_, i) => z[3 * i] * g[3 * i] + z[3 * i + 1] * g[3 * i + 1] + z[3 * i + 2] * g[3 * i + 2]);
  }

  // One step of s = {n, u, rate, tau, loss, gradient, decay, lambda}: the next u, and the loss at the old one.
  //   ambient, tangent: u <- normalise(u - mu g);   free: u <- (1 - mu w) u - (mu/|u|) t, the loss sees u/|u|
  // u turns to nan where an embedding is sent to the origin, as in Python.
  function step(s) {
    const free = s.gradient === "free";
    const z = free ? unit(s.u) : s.u;
    const { g, rows } = gradient(z, s);
    const next = new Float64Array(3 * s.n);
    for (let i = 0; i < 3 * s.n; i += 3) {
      const size = free ? length(s.u, i) : 1;
      const keep = free ? 1 - s.rate * s.decay : 1;
      for (let k = i; k < i + 3; k++) next[k] = keep * s.u[k] - (s.rate / size) * g[k];
    }
    return { ...s, u: free ? next : unit(next), count: s.count + 1, lossBefore: lossPerAnchor(z, s, rows) };
  }

  const length = (u, i) => Math.sqrt(u[i] * u[i] + u[i + 1] * u[i + 1] + u[i + 2] * u[i + 2]);

  function unit(u) {
    const z = new Float64Array(u.length);
    for (let i = 0; i < u.length; i += 3) {
      const size = length(u, i);
      for (let k = i; k < i + 3; k++) z[k] = u[k] / size;
    }
    return z;
  }

  // ---- observables ----------------------------------------------------------------------------------------------

  // The contrastive loss over n (the prototype term is not part of it)
  function lossPerAnchor(z, s, rows = kernel(z, s.n, s.tau).rows) {
    let sum = 0;
    for (const r of rows) sum += Math.log(r);
    return sum / s.n - (s.loss === "full" ? viewCosine(z, s.n) / s.tau : 0);
  }

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

  function viewCosine(z, n) {
    let sum = 0;
    for (let k = 0; k < (3 * n) / 2; k++) sum += z[k] * z[k + (3 * n) / 2];
    return (2 * sum) / n;
  }

  function mean(z, n) {
    const m = [0, 0, 0];
    for (let k = 0; k < 3 * n; k++) m[k % 3] += z[k] / n;
    return m;
  }

  // Mean resultant length, effective rank (exp of the entropy of the second moment's eigenvalues) and leading share
  function observe(z, n) {
    const second = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
    for (let i = 0; i < 3 * n; i += 3)
      for (let a = 0; a < D; a++) for (let b = 0; b < D; b++) second[a][b] += z[i + a] * z[i + b];
    const total = second[0][0] + second[1][1] + second[2][2];
    if (!Number.isFinite(total)) return { R: NaN, rank: NaN, share: NaN, view: NaN, prototype: NaN };
    const floor = Math.max(n, D) * EPS * total; // rounding noise is no direction
    const energy = eigenvalues(second).map((e) => (e <= floor ? 0 : e));
    const sum = energy.reduce((a, b) => a + b, 0);
    let entropy = 0;
    for (const e of energy) if (e > 0) entropy -= (e / sum) * Math.log(e / sum);
    let prototype = 0;
    for (let i = 0; i < n; i++) prototype += z[3 * i + label(i, n)] / n;
    return {
      R: Math.hypot(...mean(z, n)), rank: Math.exp(entropy), share: Math.max(...energy) / sum,
      view: viewCosine(z, n), prototype,
    };
  }

  // Eigenvalues of a symmetric 3 x 3 matrix by Jacobi rotations, which keep the small ones accurate
  function eigenvalues(matrix) {
    const a = matrix.map((row) => [...row]);
    for (let sweep = 0; sweep < 12; sweep++)
      for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
        if (Math.abs(a[p][q]) < 1e-300) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1), s = t * c;
        for (let k = 0; k < D; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < D; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
      }
    return [a[0][0], a[1][1], a[2][2]];
  }

  // Energy in the spherical harmonics of degree 1 to 4: (1/n^2) sum_ij P_l(s_ij), Legendre polynomials for d = 3
  function harmonicEnergy(z, n) {
    const sum = [n, n, n, n]; // the diagonal: P_l(1) = 1
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) {
        const s = z[3 * i] * z[3 * j] + z[3 * i + 1] * z[3 * j + 1] + z[3 * i + 2] * z[3 * j + 2];
        const q = s * s;
        sum[0] += 2 * s;
        sum[1] += 3 * q - 1;
        sum[2] += s * (5 * q - 3);
        sum[3] += ((35 * q - 30) * q + 3) / 4;
      }
    return sum.map((value) => value / (n * n));
  }

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

  const perturbed = (z, angle, normal = normals(1)) => unit(z.map((x) => x + (angle / Math.sqrt(D)) * normal()));

  // Largest change of a cosine from one configuration to the next: blind to a common rotation or flip
  function moved(z, next, n) {
    let most = 0;
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) {
        let change = 0;
        for (let k = 0; k < D; k++) change += next[3 * i + k] * next[3 * j + k] - z[3 * i + k] * z[3 * j + k];
        most = Math.max(most, Math.abs(change));
      }
    return most;
  }

  // Where the embeddings start; safeRate is a rate at which the uniform state is stable for this tau
  function start(kind, { n, tau, seed, safeRate }) {
    const normal = normals(seed);
    const about = (points, angle) => perturbed(points, angle, normal);
    const draw = (count) => unit(Float64Array.from({ length: 3 * count }, normal));
    if (kind === "random") return draw(n);
    if (kind === "collapse") {
      const point = draw(1);
      return about(Float64Array.from({ length: 3 * n }, (_, k) => point[k % 3]), SPREAD);
    }
    const relax = (points) => {
      let s = { n: points.length / 3, u: points, rate: safeRate, tau, loss: "merged", gradient: "tangent", lambda: 0 };
      for (let k = 0; k < RELAXATION_STEPS; k++) s = step(s);
      return s.u;
    };
    if (kind === "uniform") return relax(draw(n));
    const samples = relax(draw(n / 2)); // "views"
    return about(Float64Array.from([...samples, ...samples]), VIEW_ANGLE);
  }

  return { D, CLASSES, step, radial, unit, length, label, mean, observe, harmonicEnergy, lossPerAnchor, columnSums, moved, perturbed, start };
})();
