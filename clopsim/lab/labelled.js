// InfoNCE's kin with classes, at the defaults of clopsim.losses: softmaxes over embeddings or class means. Their class
// points are T29's, their line is T30's. The records are those of losses.js.
"use strict";
const labelled = (() => {
  const { simplex, line, classPoints, balancedLine, onePoint, sums, number } = places;
  const perClass = (s) => s.n / number(s);

  // ---- SupCon and SsCL ----------------------------------------------------------------------------------------------

  // The mean of an embedding's class-mates and its other view, which counts 1 where a mate counts q^2
  function weighted(z, s, q) {
    const { n } = s, { d, sum, count, own: label } = sums(z, s), means = new Float64Array(n * d);
    for (let i = 0; i < n; i++) {
      const own = label(i), other = ((i + n / 2) % n) * d, total = 1 + (count[own] - 2) * q * q;
      for (let k = 0; k < d; k++) means[i * d + k] = (q * q * (sum[own * d + k] - z[i * d + k]) + (1 - q * q) * z[other + k]) / total;
    }
    return means;
  }

  function ofGuesses(q, s) {
    const m = perClass(s), { tau, n } = s, T = 2 / tau, row = 1 + (m - 2) * q * q, mates = -1 / (m - 1);
    const patterns = [{ alpha: mates, omega: -1 / row }]; // the views of a sample apart
    if (m > 2) patterns.push({ alpha: mates, omega: (1 - 2 * q * q) / row }); // together
    const y = Math.exp(-2 / tau), P = 1 / (n / 2 - 1 + (n / 2) * y);
    const slopes = [T * (P - (q * q) / row), T * (y * P - (q * q) / row), T * (y * P - 1 / row), T * P, T * y * P];
    return [
      classPoints(simplex({ r: (m - 1) / m, rho: 1, patterns }, s), s, `as guesses of confidence ${q} do not bind it at this temperature (T38)`),
      balancedLine(line(slopes, s), s, { views: q < 1 }),
    ];
  }

  const CONFIDENCE = 0.95;
  const supcon = {
    name: "SupCon", classed: true, balanced: true, positives: (z, s) => weighted(z, s, 1),
    places: (s) => ofGuesses(1, s), otherwise: "collapse never attracts (T28)",
    about: "The mean over an anchor’s class outside the logarithm.",
  };
  const sscl = {
    name: "SsCL", classed: true, balanced: true, positives: (z, s) => weighted(z, s, CONFIDENCE),
    places: (s) => ofGuesses(CONFIDENCE, s), otherwise: "collapse never attracts (T38)",
    about: `In the style of the paper: SupCon with guessed classes. All guesses have the confidence q = ${CONFIDENCE}; a class-mate counts q², the other view 1.`,
  };

  // ---- FedRCL, dense ------------------------------------------------------------------------------------------------

  const PENALTY = 1;
  // L_i = mean_p log(1 + sum_a e^((s_ia - s_ip)/tau)) + beta log(1 + sum_p e^((s_ip - 1)/tau)), p of its class, a of another
  function relaxed(z, s) {
    const { n, tau } = s, { d, count, own: label } = sums(z, s), g = new Float64Array(n * d), e = new Float64Array(n), slope = new Float64Array(n);
    let loss = 0;
    for (let i = 0; i < n; i++) {
      const own = label(i), mates = count[own] - 1;
      let away = 0, near = 0, spent = 0;
      for (let j = 0; j < n; j++) {
        e[j] = Math.exp((geometry.dot(z, i, j, d) - 1) / tau);
        if (label(j) !== own) away += e[j];
        else if (j !== i) near += e[j];
      }
      for (let j = 0; j < n; j++) {
        if (label(j) !== own || j === i) continue;
        const share = away / (e[j] + away) / mates;
        loss += Math.log1p(away / e[j]) / mates;
        spent += share;
        slope[j] = (-share + (PENALTY * e[j]) / (1 + near)) / tau;
      }
      loss += PENALTY * Math.log1p(near);
      for (let j = 0; j < n; j++) {
        if (j === i) continue;
        const by = label(j) === own ? slope[j] : (spent * e[j]) / away / tau;
        for (let k = 0; k < d; k++) {
          g[i * d + k] += by * z[j * d + k];
          g[j * d + k] += by * z[i * d + k];
        }
      }
    }
    return { g, loss: loss / n };
  }

  // T37 at complete collapse, T29, T30
  function ofPenalty(s) {
    const m = perClass(s), { tau, n } = s, T = 2 / tau, beta = PENALTY, H = m / 2, mates = -1 / (m - 1);
    const pull = (T * beta * (m - 1)) / m, within = T * ((n - m) / ((m - 1) * (n - m + 1)) - beta);
    const y = Math.exp(-2 / tau), N = ((n - m) * (1 + y)) / 2, near = (T * ((H - 1) / (1 + N) + H / (y + N))) / (m - 1);
    const same = T * (-N / ((1 + N) * (m - 1)) + beta / (H * (1 + y))), other = T * (-N / ((y + N) * (m - 1)) + (beta * y) / (H * (1 + y)));
    const points = simplex({ r: 1 / m, rho: 1 - (beta * (m - 1)) / m, patterns: [{ alpha: mates, omega: mates + beta / m }] }, s);
    return [
      classPoints(points, s, `as the penalty β = ${beta} parts it at this temperature (T37)`),
      onePoint({ curvatures: [(-T * n) / (n - m + 1), within], pull }, s, "T37"),
      balancedLine(line([same, other, other, near, y * near], s), s),
    ];
  }

  const fedrcl = {
    name: "FedRCL", classed: true, balanced: true, gradient: relaxed, places: ofPenalty, otherwise: "complete collapse does not attract (T37)",
    about: `The dense form (ours): all pairs in the place of the hardest, no threshold, β = ${PENALTY}.`,
  };

  // ---- BLCL: class means are the keys -------------------------------------------------------------------------------

  // L_i = log sum_k e^(z_i.P_k/tau) - z_i.P_y/tau, P_k the normalised mean of class k, 0 where it vanishes
  function means(z, s) {
    const { n, tau } = s, { K, d, sum, own: label } = sums(z, s), g = new Float64Array(n * d), keys = new Float64Array(K * d);
    const length = Array.from({ length: K }, (_, c) => Math.hypot(...sum.subarray(c * d, c * d + d)));
    for (let c = 0; c < K; c++)
      if (length[c] > n * 2 ** -52) for (let k = 0; k < d; k++) keys[c * d + k] = sum[c * d + k] / length[c];
    const pull = new Float64Array(K * d), e = new Float64Array(K);
    let loss = 0;
    for (let i = 0; i < n; i++) {
      const own = label(i);
      let total = 0, at = 0;
      for (let c = 0; c < K; c++) {
        let cosine = 0;
        for (let k = 0; k < d; k++) cosine += z[i * d + k] * keys[c * d + k];
        total += e[c] = Math.exp(cosine / tau);
        if (c === own) at = cosine;
      }
      loss += Math.log(total) - at / tau;
      for (let c = 0; c < K; c++) {
        const by = (e[c] / total - (c === own)) / tau;
        for (let k = 0; k < d; k++) {
          g[i * d + k] += by * keys[c * d + k];
          pull[c * d + k] += by * z[i * d + k];
        }
      }
    }
    for (let i = 0; i < n; i++) {
      const c = label(i), at = c * d;
      if (!(length[c] > n * 2 ** -52)) continue;
      let along = 0;
      for (let k = 0; k < d; k++) along += pull[at + k] * keys[at + k];
      for (let k = 0; k < d; k++) g[i * d + k] += (pull[at + k] - along * keys[at + k]) / length[c];
    }
    return { g, loss: loss / n };
  }

  const blcl = {
    name: "BLCL", classed: true, balanced: true, gradient: means,
    places: (s) => [classPoints(simplex({ r: 1, rho: 1, nu: 1, patterns: [{ alpha: 0, omega: 0 }] }, s), s, "")],
    otherwise: "complete collapse never attracts (T36)",
    about: "In the style of the paper: the contrastive part alone, at the fixed balance 1, without a memory.",
  };

  return { supcon, sscl, fedrcl, blcl };
})();
