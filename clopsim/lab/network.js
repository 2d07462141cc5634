// A small network trained in the page: two views of points from three Gaussian clusters, a hidden layer of tanh, the
// embeddings its outputs. Gradient descent on its weights, for the mean of the loss over the anchors, as autograd takes it.
"use strict";
const network = (() => {
  const P = 8, H = 16; // inputs, hidden units
  const CENTRE = 2, WITHIN = 0.5, BETWEEN_VIEWS = 0.2; // length of a cluster's mean; noise of a sample, and of its views

  // The inputs of the n embeddings, row by row: cluster of a sample as physics.label, the two views n/2 rows apart
  function inputs({ n, seed, classes: K = physics.CLASSES }) {
    const normal = physics.normals(seed), x = new Float64Array(n * P);
    const centres = Array.from({ length: K }, () => {
      const c = Float64Array.from({ length: P }, normal), size = Math.hypot(...c);
      return c.map((value) => (CENTRE * value) / size);
    });
    for (let i = 0; i < n / 2; i++) {
      const sample = centres[physics.label(i, n, K)].map((c) => c + WITHIN * normal());
      for (const row of [i, i + n / 2]) for (let k = 0; k < P; k++) x[row * P + k] = sample[k] + BETWEEN_VIEWS * normal();
    }
    return x;
  }

  // One vector of weights: hidden (H x P), its biases (H), output (d x H), its biases (d)
  const sizes = (d) => [H * P, H, d * H, d];
  function initial({ dim, seed }) {
    const normal = physics.normals(seed + 10000), [a, b, c, e] = sizes(dim), w = new Float64Array(a + b + c + e);
    for (let k = 0; k < a; k++) w[k] = normal() / Math.sqrt(P);
    for (let k = a + b; k < a + b + c; k++) w[k] = normal() / Math.sqrt(H);
    return w;
  }

  function forward(w, x, n) {
    const d = (w.length - H * P - H) / (H + 1), [a, b, c] = sizes(d);
    const hidden = new Float64Array(n * H), u = new Float64Array(n * d);
    for (let i = 0; i < n; i++) {
      for (let h = 0; h < H; h++) {
        let sum = w[a + h];
        for (let k = 0; k < P; k++) sum += w[h * P + k] * x[i * P + k];
        hidden[i * H + h] = Math.tanh(sum);
      }
      for (let k = 0; k < d; k++) {
        let sum = w[a + b + c + k];
        for (let h = 0; h < H; h++) sum += w[a + b + k * H + h] * hidden[i * H + h];
        u[i * d + k] = sum;
      }
    }
    return { hidden, u, d };
  }

  // Gradient of the mean loss in the weights, the outputs, and the loss itself (without the prototypes' part)
  function gradient(w, { x, ...s }) {
    const { n } = s, { hidden, u, d } = forward(w, x, n), [a, b, c] = sizes(d);
    const z = physics.unit(u, n), { g, loss } = physics.gradient(z, { ...s, gradient: "tangent" });
    const slope = new Float64Array(w.length), back = new Float64Array(H);
    for (let i = 0; i < n; i++) {
      const scale = 1 / (n * physics.length(u, i, d));
      back.fill(0);
      for (let k = 0; k < d; k++) {
        const out = g[i * d + k] * scale;
        slope[a + b + c + k] += out;
        for (let h = 0; h < H; h++) {
          slope[a + b + k * H + h] += out * hidden[i * H + h];
          back[h] += out * w[a + b + k * H + h];
        }
      }
      for (let h = 0; h < H; h++) {
        const into = back[h] * (1 - hidden[i * H + h] ** 2);
        slope[a + h] += into;
        for (let k = 0; k < P; k++) slope[h * P + k] += into * x[i * P + k];
      }
    }
    return { slope, u, loss };
  }

  // What a run of the network holds besides its settings
  function begin(setting) {
    const x = inputs(setting), w = initial(setting);
    return { x, w, u: forward(w, x, setting.n).u };
  }

  // One step of s = {n, x, w, v, rate, tau, loss, decay, lambda, momentum}, as torch.optim.SGD: v <- beta v + g + decay w
  function step(s) {
    const { momentum: beta = 0, decay = 0 } = s, { slope, loss } = gradient(s.w, s);
    const v = slope.map((g, k) => g + decay * s.w[k] + (beta > 0 && s.v ? beta * s.v[k] : 0));
    const w = s.w.map((value, k) => value - s.rate * v[k]);
    return { ...s, w, v: beta > 0 ? v : null, u: forward(w, s.x, s.n).u, count: s.count + 1, lossBefore: loss };
  }

  // Sharpness: the largest eigenvalue of the Hessian in the weights, by Lanczos, power iteration that keeps what it has
  // seen. Products with the Hessian are central differences of the gradient; after each of them it can be put off.
  const PRODUCTS = 60, APART = 1e-4, SAME = 1e-10; // at most; of a weight; of the eigenvalue, from one product to the next
  function* looking(s) {
    const size = s.w.length, normal = physics.normals(1), basis = [], alpha = [], beta = [];
    let v = Float64Array.from({ length: size }, normal), found = NaN;
    for (let k = 0; k < Math.min(PRODUCTS, size); k++) {
      for (let round = 0; round < 2; round++) // against rounding, twice is enough
        for (const q of basis) {
          let along = 0;
          for (let j = 0; j < size; j++) along += v[j] * q[j];
          for (let j = 0; j < size; j++) v[j] -= along * q[j];
        }
      const length = Math.hypot(...v);
      if (!(length > 1e-12)) break; // the space is used up, or the numbers are no longer finite
      v = v.map((value) => value / length);
      if (k > 0) beta.push(length);
      basis.push(v);
      const [more, less] = [1, -1].map((sign) => gradient(s.w.map((value, j) => value + sign * APART * v[j]), s).slope);
      const product = more.map((value, j) => (value - less[j]) / (2 * APART));
      alpha.push(product.reduce((sum, value, j) => sum + value * v[j], 0));
      if (!Number.isFinite(alpha[k])) return NaN;
      const before = found;
      found = largest(alpha, beta);
      if (Math.abs(found - before) < SAME * Math.abs(found)) break;
      v = product;
      yield;
    }
    return found;
  }

  // The largest eigenvalue of a symmetric tridiagonal matrix, by bisection: above it all pivots are negative
  function largest(diagonal, beside) {
    let low = Math.max(...diagonal), high = low + 2 * Math.max(0, ...beside);
    for (;;) {
      const middle = (low + high) / 2;
      if (!(low < middle && middle < high)) return high;
      let pivot = 0;
      const above = diagonal.every((a, k) => (pivot = a - middle - (k ? beside[k - 1] ** 2 / pivot : 0)) < 0);
      if (above) high = middle; else low = middle;
    }
  }

  function sharpness(s) {
    const products = looking(s);
    for (;;) {
      const { done, value } = products.next();
      if (done) return value;
    }
  }

  // The rate above which descent along the sharpest direction flips and grows: 2 (1 + beta)/(sharpness + decay) (T14)
  const edge = (s, sharp = sharpness(s)) => (2 * (1 + (s.momentum ?? 0))) / (sharp + (s.decay ?? 0));

  return { gradient, begin, step, looking, sharpness, edge };
})();
