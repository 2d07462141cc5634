// Where many points lie together, and whether they lie on a ring: what a picture should say in words. Any dimension.
"use strict";
const gathering = (() => {
  const LINK = Math.cos(0.1); // radians: points closer than that hang together ...
  const EXTENT = Math.cos(0.2); // ... and a group reaches no further from its middle: a ring is none
  const SHARE = 1 / 8; // of all points: fewer are no group
  const RING = { even: 0.2, least: 0.12, gap: Math.PI / 2 }; // spread of the angle / the angle; radians; radians

  const dot = (z, i, w, j, d) => {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += z[d * i + k] * w[d * j + k];
    return sum;
  };

  // Groups of points that look like one, the largest first: [{count, first}], first a member's number
  function groups(z, n) {
    const d = z.length / n, left = new Set(Array(n).keys()), found = [];
    for (const first of left) {
      const members = [first];
      left.delete(first);
      for (const i of members) // grows while it is read
        for (const j of left) if (dot(z, i, z, j, d) >= LINK) { members.push(j); left.delete(j); }
      if (members.length >= Math.max(4, SHARE * n) && compact(z, members, d)) found.push({ count: members.length, first });
    }
    return found.sort((a, b) => b.count - a.count);
  }

  function compact(z, members, d) {
    const middle = new Float64Array(d);
    for (const i of members) for (let k = 0; k < d; k++) middle[k] += z[d * i + k];
    const size = Math.hypot(...middle);
    return members.every((i) => dot(z, i, middle, 0, d) >= EXTENT * size);
  }

  // The radius in radians of a ring of points about their mean, in three dimensions; null where they form none
  function ring(z, n) {
    if (z.length !== 3 * n) return null;
    const m = [0, 0, 0];
    for (let k = 0; k < 3 * n; k++) m[k % 3] += z[k] / n;
    const R = Math.hypot(...m);
    if (!(R > 0.1)) return null;
    const axis = m.map((x) => x / R);
    const angles = Array.from({ length: n }, (_, i) => Math.acos(Math.max(-1, Math.min(1, dot(z, i, axis, 0, 3)))));
    const angle = angles.reduce((sum, a) => sum + a, 0) / n;
    const spread = Math.sqrt(angles.reduce((sum, a) => sum + (a - angle) ** 2, 0) / n);
    if (angle < RING.least || spread > RING.even * angle) return null;
    // all around, not a few places at one angle
    const [e, f] = across(axis);
    const turns = Array.from({ length: n }, (_, i) => Math.atan2(dot(z, i, f, 0, 3), dot(z, i, e, 0, 3))).sort((a, b) => a - b);
    const gaps = turns.map((t, k) => (k + 1 < n ? turns[k + 1] - t : turns[0] + 2 * Math.PI - t));
    return Math.max(...gaps) < RING.gap ? { axis, angle } : null;
  }

  // Two directions at right angles to a unit vector and to each other
  function across([x, y, z]) {
    const other = Math.abs(x) < 0.7 ? [1, 0, 0] : [0, 1, 0];
    const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    const e = cross([x, y, z], other), size = Math.hypot(...e), f = e.map((c) => c / size);
    return [f, cross([x, y, z], f)];
  }

  // What a picture of these points should show and say: a ring, or else the largest groups
  function find(z, n) {
    const circle = ring(z, n), seen = circle ? [] : groups(z, n).slice(0, 4);
    const words = circle ? [`a ring, ${Math.round((180 / Math.PI) * circle.angle)}° about the mean`]
      : seen.map(({ count }) => `${count} points here`);
    return { ring: circle, groups: seen, words };
  }

  return { ring, across, find };
})();
