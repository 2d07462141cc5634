// Losses of the zoo with geometry of their own, at the defaults of clopsim.losses: SimO, Anti-Collapse, Unhinged and the
// like. Their theory is in bounds/ under the same names. The records are those of losses.js.
"use strict";
const zoo = (() => {
  const { attracts, sums, number } = places;

  // ---- Unhinged: every point to the direction of its class ------------------------------------------------------------

  // q_k = (1 + gamma) w_k, w a simplex, gamma = 1/(K - 1)
  const PULL = (K) => K / (K - 1);
  const directions = (s, d) => physics.prototypes({ classes: number(s), prototypes: "simplex" }, d);
  function pulled(z, s) {
    const { n } = s, { K, d, own } = sums(z, s), w = directions(s, d), g = new Float64Array(n * d);
    let loss = 0;
    for (let i = 0; i < n; i++)
      for (let k = 0; k < d; k++) {
        g[i * d + k] = -PULL(K) * w[own(i)][k];
        loss += (g[i * d + k] * z[i * d + k]) / n;
      }
    return { g, loss };
  }

  // T33
  function circles(s) {
    const K = number(s), q = PULL(K), state = { curvatures: [q], pull: -q }, points = attracts(state, s), balanced = s.n % (2 * K) === 0;
    const found = [{
      is: "classes", shows: "each class on one point", ...points, ...(balanced ? { R: 0, rank: K - 1 } : {}), loss: () => -q,
      holds: `each class gathers on its direction q${s.gradient === "tangent" ? ", below μ_Q" : ", at every rate"} (T33)`,
      mark: ["μ_Q", "swaps begin", "every point overshoots its class’s direction (T33)"],
    }];
    const cosine = (x) => (1 + Math.sqrt(1 + 2 * x * x)) / (2 * x);
    if (s.gradient === "tangent" && !(s.momentum > 0))
      found.push({
        is: "swap", shows: "every point swapping sides of its class’s direction", end: "between", above: points.below, below: Infinity, loss: ({ rate }) => -q * cosine(rate * q),
        holds: `every point swaps sides of its class’s direction at each step, never more than 45° off it (T33)`,
      });
    return found;
  }

  const unhinged = {
    name: "Unhinged", classed: true, gradient: pulled, places: circles,
    otherwise: "above μ_Q every point overshoots its class’s direction (T33, T14); for where it swaps with momentum there is no theory",
    timeless: true, unit: (s) => ({ rate: 2 / PULL(number(s)), name: "μ_Q", formula: "2/|q|" }),
    about: "Fixed class directions on a simplex, γ = 1/(K − 1), so |q| = K/(K − 1). No temperature.",
  };

  // ---- SimO, the pair form --------------------------------------------------------------------------------------------

  const EPS = 1 / 137, OLEAN = 1 / 137;
  // (1 + o/(eps + d))^(1 - 2y) of two vectors a, b: its slopes in d = |a - b|^2 and o = (a.b)^2, put into the gradients
  function pair(x, a, b, d, power, into) {
    let far = 0, dot = 0;
    for (let k = 0; k < d; k++) {
      far += (x[a + k] - x[b + k]) ** 2;
      dot += x[a + k] * x[b + k];
    }
    const near = dot * dot, value = Math.exp(power * Math.log1p(near / (EPS + far)));
    const slope = (power * value) / (EPS + far + near), byD = (-slope * near) / (EPS + far); // in o, in d
    for (let k = 0; k < d; k++) {
      const apart = 2 * byD * (x[a + k] - x[b + k]);
      into[a + k] += apart + 2 * slope * dot * x[b + k];
      into[b + k] += -apart + 2 * slope * dot * x[a + k];
    }
    return value;
  }
  function orthogonal(z, s) {
    const { n } = s, { K, d, sum, count, own } = sums(z, s), g = new Float64Array(n * d), seen = new Float64Array(K);
    const place = Array.from({ length: n }, (_, i) => seen[own(i)]++); // how many of its class come before
    let loss = 0;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < i; j++) {
        if (own(i) === own(j)) loss += pair(z, i * d, j * d, d, -1, g);
        else if (place[i] === place[j]) loss += pair(z, i * d, j * d, d, 1 - 2 * OLEAN, g);
      }
    const means = sum.map((x, k) => x / count[Math.floor(k / d)]), back = new Float64Array(K * d);
    for (let a = 0; a < K; a++) for (let b = 0; b < a; b++) loss += pair(means, a * d, b * d, d, 1 - 2 * OLEAN, back);
    for (let i = 0; i < n; i++) for (let k = 0; k < d; k++) g[i * d + k] += back[own(i) * d + k] / count[own(i)];
    return { g, loss: loss / n };
  }

  // T31 at orthonormal class points
  function rightAngles(s) {
    const { n, dim = 3 } = s, K = number(s), m = n / K, w = 2 / (1 + EPS), x = (4 * (1 - 2 * OLEAN)) / (2 + EPS);
    const curvatures = [w * m + x, x * (1 + 1 / m)];
    if (dim > K) curvatures.push(w * m);
    return { curvatures, pull: (-2 * EPS * (m - 1)) / (1 + EPS) ** 2 };
  }
  const simo = {
    name: "SimO", classed: true, balanced: true, gradient: orthogonal,
    unknown: (s) => (number(s) > (s.dim ?? 3) ? "More classes than dimensions cannot be at right angles: for that there is no theory." : ""),
    places: (s) => {
      const rates = attracts(rightAngles(s), s);
      return [{
        is: "classes", shows: "each class on one point", ...rates, rank: number(s), holds: "complete collapse repels; each class ends on one point, the classes at right angles",
        lost: "above μ_O no class stays on one point of an orthogonal frame (T31)", mark: ["μ_O", "class points break", "orthogonal class points break (T31)"],
      }, {
        is: "crossed", shows: "each class on a line of its own", end: "classes", ...rates, open: true, rank: number(s), at: (seen) => outcome.classLines(seen.z, s) > 0.99,
        holds: "or split over both ends of a line (T31)", lost: "split over a line, where less pulls it together, it may still stay",
      }];
    },
    otherwise: "complete collapse never attracts",
    timeless: true, unit: (s) => ({ rate: 2 / Math.max(...rightAngles(s).curvatures), name: "μ_O", formula: "2/(wm + x)" }),
    about: "The pair form of the authors’ code, ε = olean = 1/137, summed over pairs. No temperature.",
  };

  // ---- Anti-Collapse, the pair form -----------------------------------------------------------------------------------

  const ERROR = 0.5; // eps of the coding rate R = 1/2 log det(I + c Z'Z), c = d/(n eps)
  // n exp(-R): its gradient is -n exp(-R) c Z (I + c Z'Z)^(-1)
  function coded(z, { n }) {
    const d = z.length / n, c = d / (n * ERROR), { values, vectors } = physics.eigen(physics.secondMoment(z, n));
    const loss = Math.exp(-values.reduce((sum, e) => sum + Math.log1p(c * e), 0) / 2), g = new Float64Array(n * d);
    for (let i = 0; i < n; i++)
      vectors.forEach((v, axis) => {
        let along = 0;
        for (let k = 0; k < d; k++) along += z[i * d + k] * v[k];
        const by = (-n * loss * c * along) / (1 + c * values[axis]);
        for (let k = 0; k < d; k++) g[i * d + k] += by * v[k];
      });
    return { g, loss };
  }

  // T32 at a tight frame, or orthonormal rows; highest: the largest curvature that one can have, least: that every one has
  function frame({ n, dim: d = 3 }) {
    const b = ERROR * Math.min(1, n / d), r = Math.min(n, d), k = (1 + 1 / b) ** (-r / 2) * r, highest = (2 * k) / (1 + b) ** 2;
    return { highest, least: 2 * n >= d * (d + 1) ? (highest * d) / (d + 2) : highest, pull: -k / (1 + b) };
  }
  const antiCollapse = {
    name: "Anti-Collapse", gradient: coded,
    places: (s) => {
      const { highest, least, pull } = frame(s), safe = attracts({ curvatures: [highest], pull }, s), last = attracts({ curvatures: [least], pull }, s);
      const filled = { rank: Math.min(s.n, s.dim ?? 3), slack: 0.003, shows: "all directions filled evenly", end: "even" };
      return [{
        is: "frame", ...safe, ...filled, holds: `collapse repels at every rate; the points fill all directions evenly, a tight frame, ${safe.below < Infinity ? "which holds below μ_F" : "at every rate"} (T32)`,
        mark: ["μ_F", "frames break", "the first tight frames break (T32)"],
      }, {
        is: "drift", above: safe.below < last.below ? safe.below : null, edge: safe.below < last.below ? last.below : null, below: last.below, ...filled,
        holds: "collapse repels at every rate; some tight frames break, and the run drifts along them to one that stands the rate (T32)",
        mark: ["μ_N", "no frame holds", "no tight frame holds (T32)"],
      }];
    },
    none: "restless", otherwise: "collapse repels, and no tight frame holds at this rate (T32)",
    timeless: true, unit: (s) => ({ rate: 2 / frame(s).highest, name: "μ_F", formula: "2/c of a tight frame" }),
    about: "The pair form, one coding rate of all points, ε = 0.5, γ = 1, times n. No temperature and no classes.",
  };

  return { unhinged, simo, antiCollapse };
})();
