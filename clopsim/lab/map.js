// The map under the slider: temperature against learning rate, or momentum where a loss has no temperature; where runs
// from this start end, and theory's lines over it. The dot is the setting; it can be dragged. The runs are computed in a worker made of the scripts of this page.
"use strict";
const map = (() => {
  const { COLUMNS, ROWS, LOW, HIGH, AXES } = ends;
  const FINE_FIRST = [...ends.STRIDES].reverse();
  const PAUSE = 300; // milliseconds that settings must have stood still: a dragged slider is not followed
  const canvas = document.getElementById("map"), pen = canvas.getContext("2d"), legend = document.getElementById("map-legend");
  const NAMES = {
    even: "evenly spread", between: "gathered or restless", point: "on one spot", apart: "views apart", line: "on a line",
    classes: "gathered by class", diverged: "sent to the origin",
  };
  let key = "", setting = null, found = [], left = 0, worker = null, timer = 0, lines = [], axis = "tau", at = { x: 1, tau: 1 }, dots = [], onPick = () => {};

  // Forget what was computed if it was for other settings; what the map's two axes show does not count
  function update(chosen) {
    axis = ends.axis(chosen);
    const { x, [axis]: level, speed, view, ...rest } = chosen;
    at = { x, [axis]: level };
    text.show("map-axis", AXES[axis].words);
    dots = (view === "pair" ? settings.FACTORS : [1]).map((factor) => factor * x);
    if (JSON.stringify(rest) !== key) {
      key = JSON.stringify(rest);
      setting = rest;
      lines = theoryLines(rest);
      found = Array(COLUMNS * ROWS).fill(null);
      left = found.length;
      if (worker) worker.terminate();
      worker = null;
      clearTimeout(timer);
      timer = setTimeout(begin, PAUSE);
    }
    draw();
  }

  function begin() {
    if (share.hidden.has("map") || setting.network === "on") return; // its runs are of free points
    const source = [...document.querySelectorAll("script.pure")].map((script) => script.textContent).join("\n");
    const loop = "onmessage = ({ data }) => { for (const cell of ends.cells(data)) postMessage(cell); };";
    try {
      if (!source.trim()) throw new Error("the scripts are files of their own");
      const address = URL.createObjectURL(new Blob([source, loop], { type: "text/javascript" }));
      worker = new Worker(address);
      worker.onmessage = ({ data }) => take(data);
      worker.postMessage(setting);
      URL.revokeObjectURL(address);
    } catch {
      slowly(ends.cells(setting), key);
    }
  }

  // Where no worker can be had: a cell whenever the page has time
  function slowly(cells, mine) {
    if (mine !== key) return;
    const { value, done } = cells.next();
    if (done) return;
    take(value);
    timer = setTimeout(() => slowly(cells, mine), 4);
  }

  let due = false;
  function take([k, outcome]) {
    found[k] = outcome;
    left--;
    if (!due) requestAnimationFrame(() => { due = false; draw(); });
    due = true;
  }

  // Theory's thresholds as curves over the other axis: {name, points: [[x, level, kind], ...]}. Where n is too small to tell
  // (T13) a curve is "rough", and there may jump to the "limit" of many points
  function theoryLines(rest) {
    const curves = new Map();
    for (let k = 0; k <= 60; k++) {
      const level = AXES[axis].at(k / 60), s = { ...rest, [axis]: level }, th = theory.thresholds(s);
      for (const { name, rate, rough } of track.named(s, th)) {
        if (!curves.has(name)) curves.set(name, []);
        curves.get(name).push([rate / th.unit, level, !rough ? "" : th.limit ? "limit" : "rough"]);
      }
    }
    return [...curves].map(([name, points]) => ({ name, points }));
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  const across = (x) => (canvas.width * (Math.log2(x) - LOW)) / (HIGH - LOW);
  const height = (level) => canvas.height * (1 - (AXES[axis].part(level) * (ROWS - 1) + 0.5) / ROWS);

  // The outcome to show in a cell: its own, or that of the coarser cell that stands for it
  function shown(column, row) {
    for (const by of FINE_FIRST) {
      const k = Math.floor(row / by) * by * COLUMNS + Math.min(COLUMNS - 1, Math.round(column / by) * by);
      if (found[k]) return found[k];
    }
    return null;
  }

  function draw() {
    if (!ink.fit(canvas)) return;
    const { width, height: tall } = canvas, ratio = devicePixelRatio, wide = width / (COLUMNS - 1), high = tall / ROWS;
    pen.clearRect(0, 0, width, tall);
    for (let row = 0; row < ROWS; row++)
      for (let column = 0; column < COLUMNS; column++) {
        const outcome = shown(column, row);
        if (!outcome) continue;
        pen.fillStyle = ink.colour(`--end-${outcome}`);
        pen.fillRect(Math.floor((column - 0.5) * wide), Math.floor(tall - (row + 1) * high), Math.ceil(wide), Math.ceil(high));
      }
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = ink.colour("--theory");
    for (const { points } of lines) {
      for (const kind of ["", "rough", "limit"]) {
        pen.setLineDash(kind ? [3 * ratio, 4 * ratio] : []);
        pen.beginPath();
        points.forEach(([x, level, mine], k) => {
          const joins = k > 0 && mine === kind && points[k - 1][2] === kind;
          pen[joins ? "lineTo" : "moveTo"](across(x), height(level));
        });
        pen.stroke();
      }
      pen.setLineDash([]);
    }
    names(ratio);
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    for (const level of AXES[axis].ticks) word(String(level), 5 * ratio, height(level), "--ink", `${11 * ratio}px ${ink.FONT}`);
    mark(ratio);
    tell();
  }

  function word(what, x, y, tint, font) {
    pen.font = font;
    pen.lineWidth = 3.5 * devicePixelRatio;
    pen.lineJoin = "round";
    pen.strokeStyle = ink.colour("--paper");
    pen.strokeText(what, x, y);
    pen.fillStyle = ink.colour(tint);
    pen.fillText(what, x, y);
  }

  // Each line's name where it has most room: at the height at which it is farthest from the others
  function names(ratio) {
    const taken = dots.map((x) => [across(x) - 10 * ratio, height(at[axis]), 20 * ratio]); // places with their width: no name lies on a dot
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const within = (level) => Math.max(10 * ratio, Math.min(canvas.height - 10 * ratio, height(level)));
    for (const { name, points } of lines) {
      const [symbol, index] = name.split("_"), wide = (14 + 7 * index.length) * ratio;
      const inside = points.filter(([x]) => across(x) > 45 * ratio && across(x) < canvas.width - 25 * ratio); // right of the ticks
      const clear = inside.filter(([x, level]) => taken.every(([a, b, other]) =>
        Math.abs(within(level) - b) > 20 * ratio || a - across(x) > wide || across(x) - a > other));
      const room = ([x, level]) => Math.min(...lines.filter((other) => other.name !== name).flatMap(({ points: all }) =>
        all.map(([y, at]) => Math.hypot(across(x) - across(y), height(level) - height(at)))), ...taken.map(([a, b]) =>
        Math.hypot(a - across(x), b - height(level))), 120 * ratio);
      const best = (clear.length ? clear : inside).reduce((one, other) => (one && room(one) >= room(other) ? one : other), null);
      if (!best) continue;
      const x = across(best[0]), y = within(best[1]);
      taken.push([x, y, wide]);
      word(symbol, x, y, "--theory", `italic 600 ${16 * ratio}px Georgia, serif`);
      pen.textAlign = "left";
      word(index, x + 5 * ratio, y + 5 * ratio, "--theory", `italic 600 ${11 * ratio}px Georgia, serif`);
      pen.textAlign = "center";
    }
  }

  function mark(ratio) {
    const y = height(at[axis]);
    pen.globalAlpha = 0.55;
    pen.lineWidth = ratio;
    pen.strokeStyle = ink.colour("--ink");
    pen.beginPath();
    pen.moveTo(0, y);
    pen.lineTo(canvas.width, y);
    pen.stroke();
    pen.globalAlpha = 1;
    dots.forEach((x, k) => {
      pen.beginPath();
      pen.arc(across(x), y, (dots.length > 1 ? 6 : 8) * ratio, 0, 2 * Math.PI);
      pen.fillStyle = ink.colour(charts.TINTS[k]);
      pen.strokeStyle = ink.colour("--paper");
      pen.lineWidth = 2.5 * ratio;
      pen.stroke();
      pen.fill();
    });
  }

  // ---- in words -----------------------------------------------------------------------------------------------------

  let told = "";
  function tell() {
    const outcomes = Object.keys(NAMES).filter((name) => found.includes(name));
    if (told !== outcomes.join()) {
      told = outcomes.join();
      legend.replaceChildren(...outcomes.map((name) => {
        const item = document.createElement("span");
        item.className = `end ${name}`;
        item.textContent = NAMES[name];
        return item;
      }));
    }
    canvas.setAttribute("aria-label", describe());
  }

  // Neighbouring cells of one outcome in the row nearest to the setting
  function describe() {
    const [spoken] = AXES[axis].words.split(" "), what = `Where runs from this start end after ${ends.STEPS} steps, over learning rate and ${spoken}`;
    if (left) return `${what}: still computing`;
    const distance = (row) => Math.abs(height(ends.level(setting, row)) - height(at[axis]));
    const row = [...Array(ROWS).keys()].reduce((one, other) => (distance(one) <= distance(other) ? one : other));
    const list = [];
    for (let column = 0; column < COLUMNS; column++) {
      const name = found[row * COLUMNS + column];
      if (list.length && list.at(-1)[0] === name) list.at(-1)[2] = column;
      else list.push([name, column, column]);
    }
    const say = ([name, first, last]) =>
      `${NAMES[name]} at ${text.precise(ends.rate(first), 2)}${last > first ? ` to ${text.precise(ends.rate(last), 2)}` : ""}`;
    return `${what}. At ${spoken} ${ends.level(setting, row)}, learning rate in units of ${theory.thresholds({ ...setting, ...at }).unitName.replace("μ", "mu")}: ${list.map(say).join(", ")}`;
  }

  // ---- picking ------------------------------------------------------------------------------------------------------

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const pick = (right, up) => onPick({
    x: +(2 ** (LOW + (HIGH - LOW) * clamp(right, 0, 1))).toPrecision(4),
    [axis]: AXES[axis].at(clamp((up * ROWS - 0.5) / (ROWS - 1), 0, 1)),
  });
  let held = false;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    pick((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
  };
  // A finger scrolls the page, unless it takes the dot or taps
  const NEAR = 28; // pixels
  const onDot = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect(), scale = box.width / canvas.width;
    return Math.hypot(clientX - box.left - scale * across(at.x), clientY - box.top - scale * height(at[axis])) < NEAR;
  };
  canvas.addEventListener("touchstart", (event) => { if (onDot(event.touches[0])) event.preventDefault(); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    held = event.pointerType !== "touch" || onDot(event);
    if (!held) return;
    canvas.setPointerCapture(event.pointerId);
    if (event.pointerType !== "touch") point(event);
  });
  canvas.addEventListener("click", (event) => { if (event.pointerType === "touch") point(event); });
  canvas.addEventListener("pointermove", (event) => { if (held) point(event); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = false; });
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  canvas.addEventListener("keydown", (event) => {
    const by = KEYS[event.key];
    if (!by) return;
    pick(across(at.x) / canvas.width + by[0] / 128, 1 - height(at[axis]) / canvas.height + by[1] / 64);
    event.preventDefault();
  });

  return {
    update, draw, describe, NAMES, get cells() { return found; }, get lines() { return lines; },
    set onPick(f) { onPick = f; },
  };
})();
