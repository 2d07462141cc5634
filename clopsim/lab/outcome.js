// Which state the points are in: the outcomes of clopsim/sphere/outcomes.py, with its limits, and how far they are from
// the states whose neighbourhood theory knows.
"use strict";
const outcome = (() => {
  const POINT = 1e-2;
  // Largest energy of degree 1 to 4 that chance allows n independent points on the sphere, times n (outcomes.is_uniform):
  // by the dimension; degrees and dimensions that are not here have 3
  const CHANCE = {
    3: [7.0358, 5.149, 4.2682, 3.7467], 4: [5.8782, 3.7467], 5: [5.149, 3.0414], 6: [4.6427], 7: [4.2682], 8: [3.9785],
    9: [3.7467], 10: [3.5564], 11: [3.397], 12: [3.2612], 13: [3.1439], 14: [3.0414],
  };
  const chance = (d) => [0, 1, 2, 3].map((k) => CHANCE[d]?.[k] ?? 3);

  // The energies of degree 1 to 4 in units of what chance allows
  function order(z, n, loss) {
    const points = losses[loss].views ? n / 2 : n, ceiling = chance(z.length / n);
    return physics.harmonicEnergy(z, n).map((e, k) => (e * points) / ceiling[k]);
  }

  function state(z, n, loss, seen) {
    if (!Number.isFinite(seen.R)) return "diverged";
    if (seen.R >= 1 - POINT) return "point";
    if (seen.share >= 1 - POINT) return "line";
    return order(z, n, loss).every((e) => e <= 1) ? "even" : "between";
  }

  // Movement, from the largest change of a cosine in the last step and over the last two
  const MOVED = 1e-3, REPEATED = 0.1, RESTLESS = 0.05;
  const motion = (moved, back) =>
    (moved > MOVED && back < REPEATED * moved ? "oscillating" : moved > RESTLESS ? "restless" : "");

  // Root mean squares, to rounding where an observable such as 1 - R is not: spread about the common mean; of the full
  // loss together (the middles of the views about it) and apart (between the two views)
  function sizes(z, n, loss) {
    const d = z.length / n, half = z.length / 2, m = physics.mean(z, n);
    let spread = 0, together = 0, apart = 0;
    for (let k = 0; k < z.length; k++) spread += (z[k] - m[k % d]) ** 2;
    if (losses[loss].views)
      for (let k = 0; k < half; k++) {
        apart += (z[k] - z[k + half]) ** 2;
        together += ((z[k] + z[k + half]) / 2 - m[k % d]) ** 2;
      }
    return { spread: Math.sqrt(spread / n), together: Math.sqrt((2 * together) / n), apart: Math.sqrt((2 * apart) / n) };
  }

  // At a line with antipodal views: how far the middles of the views lie off it, about their mean; nan where the views are
  // opposite but on several lines, of which theory does not speak
  function bent(z, n) {
    const d = z.length / n, half = n / 2, { values, vectors } = physics.eigen(physics.secondMoment(z, n));
    if (Math.max(...values) < (1 - POINT) * n) return NaN;
    const axis = vectors[values.indexOf(Math.max(...values))], middles = new Float64Array(half * d);
    for (let i = 0; i < half; i++) {
      const middle = Array.from({ length: d }, (_, k) => z[i * d + k] + z[(i + half) * d + k]);
      const along = middle.reduce((sum, x, k) => sum + x * axis[k], 0);
      middle.forEach((x, k) => { middles[i * d + k] = x - along * axis[k]; });
    }
    return sizes(middles, half, "merged").spread;
  }

  const GATHERED = 0.05; // largest distance of a point from its class's mean where each class is on one point

  // Of the classes: the lowest cosine of a point with its prototype, the largest distance of a point from its class's mean
  function classes(z, n, s = {}) {
    const d = z.length / n, c = physics.prototypes(s, d), K = c.length, sum = Array.from({ length: K }, () => new Float64Array(d + 1));
    let lowest = Infinity, within = 0;
    for (let i = 0; i < n; i++) {
      const own = sum[physics.label(i, n, K)];
      lowest = Math.min(lowest, physics.alignment(z, i, c, n));
      for (let k = 0; k < d; k++) own[k] += z[i * d + k];
      own[d]++;
    }
    for (let i = 0; i < n; i++) {
      const own = sum[physics.label(i, n, K)];
      let square = 0;
      for (let k = 0; k < d; k++) square += (z[i * d + k] - own[k] / own[d]) ** 2;
      within = Math.max(within, Math.sqrt(square));
    }
    return { lowest, within };
  }

  // The least share, over the classes, of a class's points that lies along one direction: 1 where each is on a line or a point
  function classLines(z, s) {
    const { n } = s, d = z.length / n, K = places.number(s), own = Array.from({ length: K }, () => []);
    for (let i = 0; i < n; i++) own[physics.label(i, n, K)].push(...z.subarray(i * d, (i + 1) * d));
    return Math.min(...own.map((rows) => Math.max(...physics.eigen(physics.secondMoment(Float64Array.from(rows), rows.length / d)).values) / (rows.length / d)));
  }

  // How far the points went in a step, up to a common flip
  function stir(z, next, n) {
    let on = 0, over = 0;
    for (let k = 0; k < z.length; k++) {
      on += (next[k] - z[k]) ** 2;
      over += (next[k] + z[k]) ** 2;
    }
    return Math.sqrt(Math.min(on, over) / n);
  }

  return { state, order, motion, sizes, bent, classes, classLines, GATHERED, stir, chance, RESTLESS };
})();
