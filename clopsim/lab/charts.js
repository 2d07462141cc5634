// Strip charts: one observable over the steps, theory as a dashed line. The history keeps the whole run, thinned out.
"use strict";
const charts = (() => {
  const ROOM = 1200; // records kept; when full, every second one goes

  const TINTS = ["--run-0", "--run-1"]; // the colours of two runs, here and on their spheres

  // Steps are kept two and two, as a run may take two values in turn; cursor: the step that is looked at
  const newHistory = () => ({ stride: 2, records: [], latest: null, cursor: null });

  // record: a step's count and numbers by name, and under predicted theory's of the same names, null where it has none
  function push(history, record) {
    history.latest = record;
    if (record.count % history.stride > 1) return;
    history.records.push(record);
    if (history.records.length < ROOM) return;
    history.stride *= 2;
    history.records = history.records.filter((kept) => kept.count % history.stride <= 1);
  }

  const TURNS = 8, SEEN = 3; // records in a row; pixels, more than a line hides

  // The stretches [from, to] of the records whose heights take two values in turn: those of odd steps keep above those of
  // even ones, or below
  function alternating(records, height) {
    const latest = [NaN, NaN], found = [];
    let from = 0, side = 0;
    records.forEach((record, k) => {
      const odd = record.count % 2, y = height(record), gap = (odd ? 1 : -1) * (y - latest[1 - odd]);
      latest[odd] = y;
      const now = Math.abs(gap) > SEEN * devicePixelRatio ? Math.sign(gap) : 0;
      if (!now || now !== side) from = now ? k - 1 : k;
      side = now;
      if (k - from < TURNS) return;
      if (found.at(-1)?.[0] === from) found.at(-1)[1] = k; else found.push([from, k]);
    });
    return found;
  }

  // One line for each history, theory's dashed
  function draw(canvas, histories, name, [low, high]) {
    if (!ink.fit(canvas)) return;
    const { width, height } = canvas, ratio = devicePixelRatio, pen = canvas.getContext("2d");
    const left = 26 * ratio, pad = 7 * ratio;
    const span = Math.max(40, ...histories.map(({ latest }) => latest.count));
    const x = (record) => left + ((width - left - pad) * record.count) / span;
    const y = (value) => height - pad - ((height - 2 * pad) * (clamped(value) - low)) / (high - low || 1);
    const clamped = (value) => Math.max(low, Math.min(high, value));
    pen.clearRect(0, 0, width, height);
    pen.font = `${10.5 * ratio}px ${ink.FONT}`;
    pen.fillStyle = ink.colour("--quiet");
    pen.strokeStyle = ink.colour("--rule");
    pen.lineWidth = ratio;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of [low, high]) {
      pen.fillText(text.fixed(value, Number.isInteger(value) ? 0 : 1), left - 5 * ratio, y(value));
      pen.beginPath();
      pen.moveTo(left, y(value));
      pen.lineTo(width - pad, y(value));
      pen.stroke();
    }
    histories.forEach((history, k) => {
      const last = history.latest;
      const records = history.records.at(-1) === last ? history.records : [...history.records, last];
      const line = (value) => {
        let drawing = false;
        pen.beginPath();
        for (const record of records) {
          const v = value(record);
          if (v === null || !Number.isFinite(v)) { drawing = false; continue; }
          if (drawing) pen.lineTo(x(record), y(v)); else pen.moveTo(x(record), y(v));
          drawing = true;
        }
        pen.stroke();
      };
      pen.lineWidth = 1.75 * ratio;
      pen.strokeStyle = ink.colour("--theory");
      pen.setLineDash([5 * ratio, 4 * ratio]);
      const now = last.predicted[name];
      if (now !== null && !history.kept) { // what holds now reaches to the right edge
        pen.beginPath();
        pen.moveTo(x(last), y(now));
        pen.lineTo(width - pad, y(now));
        pen.stroke();
      }
      if (!history.kept) line((record) => record.predicted[name]);
      pen.setLineDash([]);
      pen.lineWidth = 2 * ratio;
      pen.lineJoin = "round";
      pen.strokeStyle = pen.fillStyle = ink.colour(history.kept ? "--quiet" : TINTS[k]);
      const end = history.cursor === null ? last : records.findLast(({ count }) => count <= history.cursor) ?? last;
      const turns = alternating(records, (record) => y(record[name] ?? NaN)), ends = [end];
      for (const [from, to] of turns) { // both values of what alternates, each a line of its own
        const both = records.slice(from, to + 1), [even, odd] = [0, 1].map((part) => both.filter(({ count }) => count % 2 === part));
        pen.globalAlpha = 0.2;
        pen.beginPath();
        for (const record of [...even, ...[...odd].reverse()]) pen.lineTo(x(record), y(record[name]));
        pen.fill();
        pen.globalAlpha = 1;
        pen.lineWidth = 1.25 * ratio;
        for (const branch of [even, odd]) {
          pen.beginPath();
          for (const record of branch) pen.lineTo(x(record), y(record[name]));
          pen.stroke();
        }
        if (both.includes(end)) ends.push((end.count % 2 ? even : odd).findLast(({ count }) => count < end.count) ?? end);
      }
      pen.lineWidth = 2 * ratio;
      const hidden = new Set(turns.flatMap(([from, to]) => records.slice(from + 1, to)));
      line((record) => (hidden.has(record) ? null : record[name]));
      if (!Number.isFinite(end[name])) return;
      for (const record of ends) {
        pen.beginPath();
        pen.arc(x(record), y(record[name]), 3.2 * ratio, 0, 2 * Math.PI);
        if (record === end) pen.fill(); else pen.stroke();
      }
    });
  }

  // Forget what came after a step
  function cut(history, count) {
    history.records = history.records.filter((kept) => kept.count <= count);
    history.latest = history.records.at(-1);
    history.cursor = null;
  }

  return { newHistory, cut, push, draw, alternating, TINTS };
})();
