// Strip charts: one observable over the steps, theory as a dashed line. The history keeps the whole run, thinned out.
"use strict";
const charts = (() => {
  const ROOM = 1200; // records kept; when full, every second one goes

  const TINTS = ["--run-0", "--run-1"]; // the colours of two runs, here and on their spheres

  const newHistory = () => ({ stride: 1, records: [], latest: null, cursor: null }); // cursor: the step that is looked at

  // record: a step's count and numbers by name, and under predicted theory's of the same names, null where it has none
  function push(history, record) {
    history.latest = record;
    if (record.count % history.stride) return;
    history.records.push(record);
    if (history.records.length < ROOM) return;
    history.stride *= 2;
    history.records = history.records.filter((kept) => kept.count % history.stride === 0);
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
      pen.fillText(Number.isInteger(value) ? String(value).replace("-", "−") : value.toFixed(1), left - 6 * ratio, y(value));
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
      line((record) => record[name]);
      const end = history.cursor === null ? last : records.findLast(({ count }) => count <= history.cursor) ?? last;
      if (!Number.isFinite(end[name])) return;
      pen.beginPath();
      pen.arc(x(end), y(end[name]), 3.2 * ratio, 0, 2 * Math.PI);
      pen.fill();
    });
  }

  // Forget what came after a step
  function cut(history, count) {
    history.records = history.records.filter((kept) => kept.count <= count);
    history.latest = history.records.at(-1);
    history.cursor = null;
  }

  return { newHistory, cut, push, draw, TINTS };
})();
