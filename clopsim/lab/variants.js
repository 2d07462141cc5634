// Variants of InfoNCE, at the defaults of clopsim.losses: LORAC's norm of the views, PAUC's terms on class means, the trimmed
// anchors of an L-statistic. Their theory is in bounds/ under the same names. The records are those of losses.js.
"use strict";
const variants = (() => {
  const { attracts, sums, number, classPoints, balancedLine } = places;

  // ---- LORAC ----------------------------------------------------------------------------------------------------------

  const BETA = 15, DELTA = 0.01, ROOT = Math.sqrt(2 + DELTA), SMALL = Math.sqrt(DELTA);
  // L_i = log [e^(psi/tau) + sum of the negatives' e^(s/tau)] - psi/tau, psi = s_ij - nu/beta of the two views i, j,
  // nu = sqrt(|z_i + z_j|^2/2 + delta) + sqrt(|z_i - z_j|^2/2 + delta)
  function pressed(z, { n, tau }) {
    const d = z.length / n, half = n / 2, { w, rows } = physics.kernel(z, n, tau), g = new Float64Array(n * d);
    const psi = new Float64Array(half), plus = new Float64Array(half), minus = new Float64Array(half);
    for (let i = 0; i < half; i++) {
      const c = geometry.dot(z, i, i + half, d);
      let sum = 0, gap = 0;
      for (let k = 0; k < d; k++) {
        sum += (z[i * d + k] + z[(i + half) * d + k]) ** 2;
        gap += (z[i * d + k] - z[(i + half) * d + k]) ** 2;
      }
      [plus[i], minus[i]] = [Math.sqrt(sum / 2 + DELTA), Math.sqrt(gap / 2 + DELTA)];
      psi[i] = c - (plus[i] + minus[i]) / BETA;
    }
    const total = rows.map((r, i) => {
      const at = i % half, pair = w[at * n + at + half];
      return r - pair + Math.exp(psi[at] / tau);
    });
    let loss = 0;
    for (let i = 0; i < n; i++) {
      loss += Math.log(total[i]) - psi[i % half] / tau;
      for (let j = i + 1; j < n; j++) {
        if (j === i + half) continue;
        const p = (w[i * n + j] * (1 / total[i] + 1 / total[j])) / tau;
        for (let k = 0; k < d; k++) {
          g[i * d + k] += p * z[j * d + k];
          g[j * d + k] += p * z[i * d + k];
        }
      }
    }
    for (let i = 0; i < half; i++) {
      const j = i + half, by = (Math.exp(psi[i] / tau) * (1 / total[i] + 1 / total[j]) - 2) / tau;
      for (let k = 0; k < d; k++) {
        const [a, b] = [z[i * d + k], z[j * d + k]], up = (a + b) / (2 * BETA * plus[i]), down = (a - b) / (2 * BETA * minus[i]);
        g[i * d + k] += by * (b - up - down);
        g[j * d + k] += by * (a - up + down);
      }
    }
    return { g, loss: loss / n };
  }

  // T35, by rows: complete collapse and the antipodal line
  function ofViews({ n, tau }) {
    const N = n / 2, T = 2 / tau, steep = (1 / SMALL - 1 / ROOT) / (2 * BETA), norm = (ROOT + SMALL) / BETA;
    const p = 1 / (Math.exp(-norm / tau) + n - 2), k = T * (n - 2) * p;
    const point = { curvatures: [-T * n * p, k * (1 + 2 * steep)], pull: k / (BETA * ROOT) };
    const y = Math.exp(-2 / tau), D = (N - 1) * (1 + y) + Math.exp((-2 - norm) / tau), same = 1 / D, other = y / D;
    const q = ((N - 1) * (1 + y)) / D, slope = 1 - steep, gap = (N - 1) * (same - other);
    const line = {
      curvatures: [-T * (gap + same + other + 2 * q * slope), -T * N * (same - other), -2 * T * (q * slope - (N - 1) * other)],
      pull: T * (gap + q * (1 + 1 / (BETA * ROOT))),
    };
    return { point, line };
  }

  const lorac = {
    name: "LORAC", gradient: pressed, none: "free",
    places: (s) => {
      const { point, line } = ofViews(s), { gradient, momentum: beta = 0 } = s;
      return [
        { is: "point", ...attracts(point, s), edge: theory.flipRate(point.curvatures[1], gradient === "ambient" ? -point.pull : 0, beta),
          lost: "complete collapse attracts at no rate (T35)", mark: ["μ_align", "views part at collapse", "on one spot the views of a sample come apart (T35)"] },
        { ...balancedLine(line, s), holds: "all may end on one line, the views of a sample at opposite ends (T35)",
          known: "the views of a sample at opposite ends (T35)", arranged: (z) => places.opposite(z, s),
          lost: gradient === "ambient" ? "the line with antipodal views does not attract at this rate (T35)" : "nor does a line", mark: ["μ_line", "line attracts", "a line with antipodal views attracts (T35)"] },
      ];
    },
    about: "By the rows of the two views, β = 15; the norm is smoothed by δ = 0.01, as without it the loss has a kink where views agree.",
  };

  // ---- PAUC-style: terms on class means -------------------------------------------------------------------------------

  const SPREAD = 2; // t; all four weights are 1
  // InfoNCE + cross-entropy to the unit class means of the view + the means of the two views alike + those of classes apart
  function coagulating(z, s) {
    const { n, tau } = s, half = n / 2, { g, loss: contrast } = physics.contrast(z, s, losses.full), { K, d, own } = sums(z, s);
    const pairs = (K * (K - 1)) / 2;
    let loss = 0;
    const views = [0, 1].map((view) => {
      const sum = new Float64Array(K * d), mean = new Float64Array(K * d), pull = new Float64Array(K * d), long = new Float64Array(K);
      for (let i = 0; i < half; i++) for (let k = 0; k < d; k++) sum[own(i) * d + k] += z[(view * half + i) * d + k];
      for (let c = 0; c < K; c++) {
        long[c] = Math.hypot(...sum.subarray(c * d, c * d + d));
        for (let k = 0; k < d; k++) mean[c * d + k] = long[c] > 0 ? sum[c * d + k] / long[c] : 0;
      }
      return { mean, pull, long };
    });
    const put = (to, a, by, from, b) => { for (let k = 0; k < d; k++) to[a * d + k] += by * from[b * d + k]; };
    const dot = (x, a, y, b) => { let sum = 0; for (let k = 0; k < d; k++) sum += x[a * d + k] * y[b * d + k]; return sum; };
    views.forEach(({ mean, pull }, view) => {
      for (let i = view * half; i < (view + 1) * half; i++) {
        const e = Array.from({ length: K }, (_, c) => Math.exp(dot(z, i, mean, c) / tau)), total = e.reduce((x, y) => x + y, 0);
        loss += Math.log(total) - dot(z, i, mean, own(i)) / tau;
        e.forEach((x, c) => {
          const by = (x / total - (c === own(i))) / tau;
          put(g, i, by, mean, c);
          put(pull, c, by, z, i);
        });
      }
      let energy = 0;
      for (let a = 0; a < K; a++) for (let b = 0; b < a; b++) energy += Math.exp(2 * SPREAD * (dot(mean, a, mean, b) - 1));
      for (let a = 0; a < K; a++)
        for (let b = 0; b < a; b++) {
          const c = dot(mean, a, mean, b), by = half * ((2 * SPREAD * Math.exp(2 * SPREAD * (c - 1))) / energy + (2 * c) / pairs);
          put(pull, a, by, mean, b);
          put(pull, b, by, mean, a);
          loss += (half * c * c) / pairs;
        }
      if (pairs) loss += half * Math.log(energy / pairs);
    });
    for (let c = 0; c < K; c++) {
      const gap = views[0].mean.slice(c * d, c * d + d).map((x, k) => x - views[1].mean[c * d + k]);
      loss += (n / K) * gap.reduce((sum, x) => sum + x * x, 0);
      put(views[0].pull, c, (2 * n) / K, gap, 0);
      put(views[1].pull, c, (-2 * n) / K, gap, 0);
    }
    views.forEach(({ mean, pull, long }, view) => { // through the normalised means
      for (let i = view * half; i < (view + 1) * half; i++) {
        const c = own(i), along = dot(pull, c, mean, c);
        if (long[c] > 0) for (let k = 0; k < d; k++) g[i * d + k] += (pull[c * d + k] - along * mean[c * d + k]) / long[c];
      }
    });
    return { g, loss: contrast + loss / n };
  }

  // T34 on the simplex, all weights 1; lowest weight l_p* at which a class holds together
  function coagulated(s) {
    const { n, tau, dim: d = 3 } = s, K = number(s), m = n / (2 * K), cosine = -1 / (K - 1), k = K / (K - 1);
    const x = Math.exp((cosine - 1) / tau), D = 2 * m - 1 + 2 * m * (K - 1) * x, p = 1 / D, Q = (2 * m * (K - 1) * x) / D, Q2 = ((K - 1) * x) / (1 + (K - 1) * x);
    const u = 2 / tau, share = Q / (K - 1), share2 = Q2 / (K - 1); // n times bounds' u, a sum over the n points
    const f = (q, y, U) => u * (q * U + (q * y - q * q * U * k) / (2 * tau));
    const own = (y, U) => f(share2, y, U) + (4 * (SPREAD * U + SPREAD ** 2 * y)) / (K - 1) + (2 * (y - (2 * U) / (K - 1))) / (K - 1);
    const held = (Q2 * k * u) / 2, inside = (share * k * u) / tau, more = (share2 * k * u) / (2 * tau), apart = u * (Q * k + 1 - p), aligned = apart + 8;
    const common = Q2 * k * u + 4 * SPREAD * k - (4 * k) / (K - 1), standard = [2 * k * k, k * (K - 2)], symmetric = [4 * k, 0];
    const curvatures = [];
    if (m > 1) {
      const within = u * (Q * k - 1 - p) + held;
      if (d >= K) curvatures.push(within);
      if (K > 2) curvatures.push(within + inside + more);
    }
    if (d >= K) curvatures.push(apart + held, u * Q * k + common, aligned, aligned + common);
    if (K > 2) curvatures.push(apart + held + inside + more, f(share, ...standard) + own(...standard), aligned + inside, aligned + inside + own(...standard));
    if (K > 3) curvatures.push(f(share, ...symmetric) + own(...symmetric), aligned + inside + own(...symmetric));
    return { curvatures, pull: (-(2 * Q + Q2) * k) / tau, least: (2 * (cosine * Q + 2 * m * p)) / (Q2 * (1 - cosine)) };
  }
  const pauc = {
    name: "PAUC-style", classed: true, balanced: true, gradient: coagulating,
    places: (s) => {
      const state = coagulated(s), place = classPoints(state, s, `as the weight 1 of its prototypes is below l_p* = ${text.precise(state.least, 3)} (T34)`);
      return [{ ...place, holds: place.holds.replaceAll("T29", "T34"), lost: place.lost.replaceAll("T29", "T34"), mark: ["μ_S", "classes break", "the simplex of the class points breaks (T34)"] }];
    },
    otherwise: "complete collapse never attracts (T34)",
    unit: (s) => ({ rate: 2 / Math.max(...coagulated(s).curvatures), name: "μ_S", formula: "2/c of the class points, for tangent steps" }),
    about: "A reconstruction from the abstract, not the paper’s loss: all four weights 1, t = 2.",
  };

  // ---- L-statistic: anchors of large loss do not count ------------------------------------------------------------------

  const KEEP = 0.9, WHOLE = 1e-9;
  const kept = (n) => Math.max(1, Math.floor(KEEP * n + WHOLE));
  // n/k for the k smallest losses, of equal ones the first
  function weights(logs) {
    const n = logs.length, k = kept(n), w = new Float64Array(n);
    for (const i of [...logs.keys()].sort((a, b) => logs[a] - logs[b] || a - b).slice(0, k)) w[i] = n / k;
    return w;
  }

  // T39: below this rate every choice of anchors makes the volume of deviations from collapse grow
  function volumeRate({ n, tau }) {
    const k = kept(n), share = k / n, unit = 1 / (share * (n - 1)), pull = ((1 + share) * n - 2) * unit, across = n * (1 - share) * unit, out = n / (n - 1);
    const log = (x) => {
      const keep = 1 - x * pull, drop = 1 - x * out;
      return (k - 1) * Math.log(Math.abs(1 + (x * n * (1 + share) * unit) / keep)) - (n - k - 1) * Math.log(Math.abs(drop)) + Math.log(Math.abs(1 + (x * across) / keep + (x * out) / drop));
    };
    let low = (n - 1) / n, high = 4 * n;
    for (let round = 0; round < 200; round++) {
      const middle = (low + high) / 2;
      if (low < middle && log(middle) > 0) low = middle;
      else high = middle;
    }
    return tau * high;
  }
  const trimmed = {
    name: "L-statistic", weights, none: "free",
    unknown: (s) => (s.gradient !== "ambient" ? ""
      : s.momentum > 0 ? "For ambient steps of trimmed anchors with momentum there is no theory."
      : s.rate >= volumeRate(s) ? "Above μ_V theory does not say from where on complete collapse attracts: anchors change from step to step (T39)." : ""),
    places: (s) => [{
      is: "point", at: ({ R }) => R > 1 - 1e-6, above: null, edge: s.gradient === "ambient" && !(s.momentum > 0) ? volumeRate(s) : null,
      lost: s.gradient === "ambient" ? "below μ_V complete collapse does not attract, however the anchors are ranked, though points may hover close to one spot: trimming makes collapse harder (T39)" : "complete collapse attracts at no rate (T39)",
      mark: ["μ_V", "collapse possible", "below it complete collapse does not attract (T39)"],
    }],
    about: "Of the merged loss: the nine tenths of the anchors whose loss is smallest, each counted 10/9 times.",
  };

  // ---- ADT: InfoNCE after the moves of an adversary --------------------------------------------------------------------

  const reach = ({ tau }) => tau / 16; // sigma^2/lambda: 1/4 of 1/c at most, as c <= 4/tau where theory speaks
  const MOST = 200, MOVED = 2 ** -52; // of his steps, after which the last one counts; below it he has the best move, to the rounding of z
  // max over delta of f(w) - |delta|^2/(2 r), w = normalise(z + delta): where delta = r t, t the slope of f(w) in delta. As
  // that is a maximum, z counts through w alone.
  function moved(z, s) {
    const { n } = s, d = z.length / n, r = reach(s), delta = new Float64Array(n * d), t = new Float64Array(n * d), radial = new Float64Array(n);
    for (let step = 1; ; step++) {
      const p = z.map((x, k) => x + delta[k]), w = physics.unit(p, n), { g, loss } = physics.contrast(w, s, losses.full);
      let far = 0, paid = 0;
      for (let i = 0; i < n; i++) {
        const size = physics.length(p, i, d), from = i * d, to = from + d;
        radial[i] = 0;
        for (let k = from; k < to; k++) radial[i] += w[k] * g[k];
        for (let k = from; k < to; k++) {
          t[k] = (g[k] - radial[i] * w[k]) / size;
          far = Math.max(far, Math.abs(r * t[k] - delta[k]));
          paid += delta[k] ** 2;
        }
      }
      if (far >= MOVED && step < MOST) {
        for (let k = 0; k < n * d; k++) delta[k] = r * t[k];
        continue;
      }
      for (let i = 0; i < n; i++) {
        let along = radial[i];
        for (let k = i * d; k < (i + 1) * d; k++) along += delta[k] * t[k];
        for (let k = i * d; k < (i + 1) * d; k++) g[k] = t[k] + along * z[k];
      }
      return { g, loss: loss - paid / (2 * r * n) };
    }
  }

  const adt = {
    base: true, views: true, name: "ADT", gradient: moved, reach,
    adds: ({ gradient }) => `The adversary slows the escape from collapse but never stops it, and lowers the rate${gradient === "ambient" ? "s at which views part and a line attracts" : " at which views part"} (T40).`,
    about: "Full InfoNCE at the best moves of an adversary, who pays λ|δ|²/(2σ²) for each; σ²/λ = τ/16. A curvature c of InfoNCE is c/(1 − cτ/16) here (T40). A reconstruction for embeddings.",
  };

  return { lorac, pauc, trimmed, adt };
})();
