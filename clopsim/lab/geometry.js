// What configurations on the sphere look like: clopsim/metrics/geometry.py in double precision. z holds n unit rows one
// after the other; their dimension d is z.length / n.
"use strict";
const geometry = (() => {
  const EPS = 2 ** -52;

  function length(u, i, d) {
    let sum = 0;
    for (let k = i * d; k < (i + 1) * d; k++) sum += u[k] * u[k];
    return Math.sqrt(sum);
  }

  function unit(u, n) {
    const d = u.length / n, z = new Float64Array(u.length);
    for (let i = 0; i < n; i++) {
      const size = length(u, i, d);
      for (let k = i * d; k < (i + 1) * d; k++) z[k] = u[k] / size;
    }
    return z;
  }

  function dot(z, i, j, d) {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += z[i * d + k] * z[j * d + k];
    return sum;
  }

  function mean(z, n) {
    const d = z.length / n, m = new Float64Array(d);
    for (let k = 0; k < z.length; k++) m[k % d] += z[k] / n;
    return m;
  }

  function viewCosine(z, n) {
    let sum = 0;
    for (let k = 0; k < z.length / 2; k++) sum += z[k] * z[k + z.length / 2];
    return (2 * sum) / n;
  }

  function secondMoment(z, n) {
    const d = z.length / n, second = Array.from({ length: d }, () => new Float64Array(d));
    for (let i = 0; i < n; i++)
      for (let a = 0; a < d; a++) for (let b = 0; b <= a; b++) second[a][b] += z[i * d + a] * z[i * d + b];
    for (let a = 0; a < d; a++) for (let b = 0; b < a; b++) second[b][a] = second[a][b];
    return second;
  }

  // Eigenvalues of a symmetric matrix by Jacobi rotations, which keep the small ones accurate; vectors: rows v_k too
  function eigen(matrix) {
    const d = matrix.length, a = matrix.map((row) => Float64Array.from(row));
    const v = a.map((_, k) => Float64Array.from({ length: d }, (_, j) => +(j === k)));
    const scale = a.reduce((sum, row, k) => sum + Math.abs(row[k]), 0);
    for (let sweep = 0, turned = true; sweep < 40 && turned; sweep++) {
      turned = false;
      for (let p = 0; p < d; p++)
        for (let q = p + 1; q < d; q++) {
          if (!(Math.abs(a[p][q]) > 1e-18 * scale)) continue;
          turned = true;
          const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
          const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
          const c = 1 / Math.sqrt(t * t + 1), s = t * c;
          for (let k = 0; k < d; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
          for (let k = 0; k < d; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
          a[p][q] = a[q][p] = 0;
          for (let k = 0; k < d; k++) [v[p][k], v[q][k]] = [c * v[p][k] - s * v[q][k], s * v[p][k] + c * v[q][k]];
        }
    }
    return { values: a.map((row, k) => row[k]), vectors: v };
  }

  // Mean resultant length, effective rank (exp of the entropy of the second moment's eigenvalues), leading share, and
  // the mean cosine of the two views
  function observe(z, n) {
    const d = z.length / n, second = secondMoment(z, n);
    const total = second.reduce((sum, row, k) => sum + row[k], 0);
    if (!Number.isFinite(total)) return { R: NaN, rank: NaN, share: NaN, view: NaN };
    const floor = Math.max(n, d) * EPS * total; // rounding noise is no direction
    const energy = eigen(second).values.map((e) => (e <= floor ? 0 : e));
    const sum = energy.reduce((a, b) => a + b, 0);
    let entropy = 0;
    for (const e of energy) if (e > 0) entropy -= (e / sum) * Math.log(e / sum);
    return { R: Math.hypot(...mean(z, n)), rank: Math.exp(entropy), share: Math.max(...energy) / sum, view: viewCosine(z, n) };
  }

  // Energy in the spherical harmonics of degree 1 to 4: (1/n^2) sum_ij P_l(s_ij), P_l the Gegenbauer polynomials of the
  // dimension with P_l(1) = 1
  function harmonicEnergy(z, n) {
    const d = z.length / n, sum = [n, n, n, n]; // the diagonal
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) {
        const s = dot(z, i, j, d), q = s * s;
        sum[0] += 2 * s;
        sum[1] += (2 * (d * q - 1)) / (d - 1);
        sum[2] += (2 * s * ((d + 2) * q - 3)) / (d - 1);
        sum[3] += (2 * (((d + 4) * q - 6) * (d + 2) * q + 3)) / (d * d - 1);
      }
    return sum.map((value) => value / (n * n));
  }

  // Largest change of a cosine from one configuration to the next: blind to a common rotation or flip
  function moved(z, next, n) {
    const d = z.length / n;
    let most = 0;
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) most = Math.max(most, Math.abs(dot(next, i, j, d) - dot(z, i, j, d)));
    return most;
  }

  // ---- more than three dimensions, drawn ---------------------------------------------------------------------------

  const BLEND = 0.05; // of the identity, so that directions without energy keep still

  // Three orthonormal directions that follow the leading ones of the points: some steps of subspace iteration from the
  // ones drawn before, so that the picture does not jump
  function leading(z, n, before = null) {
    const d = z.length / n, axes = [0, 1, 2].map((k) => Float64Array.from({ length: d }, (_, j) => +(j === k)));
    if (d === 3) return axes;
    const second = secondMoment(z, n);
    let frame = before && before[0].length === d ? before : axes;
    for (let round = before ? 2 : 60; round > 0; round--)
      frame = orthonormal(frame.map((f) => f.map((x, a) => second[a].reduce((sum, m, b) => sum + m * f[b], 0) / n + BLEND * x)));
    return frame.every((f) => f.every(Number.isFinite)) ? frame : axes;
  }

  function orthonormal(rows) {
    const done = [];
    for (const row of rows) {
      let left = row;
      for (const f of done) {
        const along = left.reduce((sum, x, k) => sum + x * f[k], 0);
        left = left.map((x, k) => x - along * f[k]);
      }
      const size = Math.hypot(...left);
      done.push(left.map((x) => x / size));
    }
    return done;
  }

  // The n points in three coordinates, along the directions of a frame
  function project(z, n, frame) {
    const d = z.length / n, flat = new Float64Array(3 * n);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < 3; k++) for (let a = 0; a < d; a++) flat[3 * i + k] += frame[k][a] * z[i * d + a];
    return flat;
  }

  return { unit, length, dot, mean, viewCosine, secondMoment, eigen, observe, harmonicEnergy, moved, leading, project };
})();
