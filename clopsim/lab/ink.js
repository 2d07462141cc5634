// What the pictures are drawn with: the colours of the style sheet, and the shapes on a sphere's canvas.
"use strict";
const ink = (() => {
  let forgotten = () => {};
  const colour = (() => {
    let cache = {};
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { cache = {}; forgotten(); });
    return (name) => (cache[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  })();
  // Of the classes: colours that the colour-blind tell apart, and shapes beside them
  const CLASSES = ["--class-a", "--class-b", "--class-c", "--class-d", "--class-e", "--class-f", "--class-g", "--class-h"];
  const SHAPES = ["●", "■", "▲", "◆", "▼", "✚", "★", "▬"], SUBSCRIPTS = "₁₂₃₄₅₆₇₈";
  const FONT = "system-ui, sans-serif";

  // Make a canvas as fine as the screen; false while it has no size
  function fit(canvas, width = canvas.clientWidth, height = canvas.clientHeight) {
    const ratio = devicePixelRatio, wanted = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!wanted[0] || !wanted[1]) return false;
    if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
    return true;
  }

  function ball(pen, centre, r) {
    const shade = pen.createRadialGradient(centre - r * 0.35, centre - r * 0.4, r * 0.1, centre, centre, r);
    shade.addColorStop(0, colour("--ball-light"));
    shade.addColorStop(1, colour("--ball-edge"));
    pen.globalAlpha = 1;
    pen.fillStyle = shade;
    pen.beginPath();
    pen.arc(centre, centre, r, 0, 2 * Math.PI);
    pen.fill();
    pen.strokeStyle = colour("--grid");
    pen.lineWidth = devicePixelRatio;
    pen.stroke();
  }

  // A closed curve on the sphere, t -> point for t in [0, 2 pi]; only its front, unless all of it is wanted
  function curve(pen, at, f, whole = false) {
    let drawing = false;
    pen.beginPath();
    for (let k = 0; k <= 72; k++) {
      const [x, y, depth] = at(...f((k * Math.PI) / 36));
      if (depth < 0 && !whole) { drawing = false; continue; }
      if (drawing) pen.lineTo(x, y); else pen.moveTo(x, y);
      drawing = true;
    }
    pen.stroke();
  }

  function graticule(pen, at, size) {
    pen.strokeStyle = colour("--grid");
    pen.lineWidth = Math.max(1, size / 900);
    pen.globalAlpha = 0.6;
    for (const h of [-0.5, 0, 0.5]) {
      const c = Math.sqrt(1 - h * h);
      curve(pen, at, (t) => [c * Math.cos(t), h, c * Math.sin(t)]);
    }
    for (let k = 0; k < 4; k++) {
      const a = (k * Math.PI) / 4;
      curve(pen, at, (t) => [Math.cos(a) * Math.cos(t), Math.sin(t), Math.sin(a) * Math.cos(t)]);
    }
  }

  // The path of a class's shape about a place, a closed polygon in units of its size
  const ring = (radii) => radii.map((r, k) => [r * Math.sin((2 * Math.PI * k) / radii.length), -r * Math.cos((2 * Math.PI * k) / radii.length)]);
  const box = (wide, tall) => [[-wide, -tall], [wide, -tall], [wide, tall], [-wide, tall]];
  const POLYGONS = [
    null, box(0.9, 0.9), [[0, -1.2], [1.2, 0.96], [-1.2, 0.96]], ring([1.3, 1.1, 1.3, 1.1]), [[0, 1.2], [1.2, -0.96], [-1.2, -0.96]],
    [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]],
    ring([1.5, 0.65, 1.5, 0.65, 1.5, 0.65, 1.5, 0.65, 1.5, 0.65]), box(1.4, 0.55),
  ];
  function shape(pen, kind, x, y, size) {
    pen.beginPath();
    if (!POLYGONS[kind]) return pen.arc(x, y, size, 0, 2 * Math.PI);
    POLYGONS[kind].forEach(([a, b], k) => pen[k ? "lineTo" : "moveTo"](x + size * a, y + size * b));
    pen.closePath();
  }

  function arrow(pen, [x, y], centre, size) {
    const long = Math.hypot(x - centre, y - centre), unit = size / 100;
    pen.globalAlpha = 0.95;
    pen.strokeStyle = pen.fillStyle = colour("--mean");
    pen.lineWidth = 0.75 * unit;
    pen.beginPath();
    pen.moveTo(centre, centre);
    pen.lineTo(x, y);
    pen.stroke();
    pen.beginPath();
    pen.arc(centre, centre, 0.8 * unit, 0, 2 * Math.PI);
    pen.fill();
    if (long < 3 * unit) return;
    const a = Math.atan2(y - centre, x - centre);
    pen.beginPath();
    pen.moveTo(x + unit * Math.cos(a), y + unit * Math.sin(a));
    for (const turn of [2.5, -2.5]) pen.lineTo(x + 2.4 * unit * Math.cos(a + turn), y + 2.4 * unit * Math.sin(a + turn));
    pen.closePath();
    pen.fill();
  }

  // Around a place where many points lie: one dot does not tell sixty from one
  function halo(pen, [x, y, depth], tint, size) {
    const outer = size * 0.1, shade = pen.createRadialGradient(x, y, size * 0.02, x, y, outer);
    pen.globalAlpha = depth < 0 ? 0.25 : 0.6;
    shade.addColorStop(0, tint);
    shade.addColorStop(1, "transparent");
    pen.fillStyle = shade;
    pen.beginPath();
    pen.arc(x, y, outer, 0, 2 * Math.PI);
    pen.fill();
    pen.globalAlpha = depth < 0 ? 0.5 : 0.9;
    pen.strokeStyle = tint;
    pen.lineWidth = size / 260;
    pen.beginPath();
    pen.arc(x, y, outer * 0.62, 0, 2 * Math.PI);
    pen.stroke();
  }

  // Words below or above a place, on the side that has room: within the canvas and off the boxes of the labels in taken
  function label(pen, text, [x, y], size, { away = 0.1, taken = [] } = {}) {
    const letters = Math.max(size / 24, 12 * devicePixelRatio), first = y < size / 2 ? 1 : -1;
    pen.font = `600 ${letters}px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const half = pen.measureText(text).width / 2 + letters * 0.4, tall = 1.5 * letters;
    const left = Math.max(half, Math.min(size - half, x));
    const top = (k) => Math.max(letters, Math.min(size - letters, y + k * (away * size + letters * 0.4)));
    const free = (k) => taken.every(([a, b, wide]) => Math.abs(a - left) > half + wide || Math.abs(b - top(k)) > tall);
    const place = top([first, -first, 2 * first, -2 * first].find(free) ?? first);
    taken.push([left, place, half]);
    pen.globalAlpha = 0.88;
    pen.fillStyle = colour("--paper");
    pen.beginPath();
    pen.roundRect(left - half, place - tall / 2, 2 * half, tall, letters * 0.4);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = colour("--ink");
    pen.fillText(text, left, place);
  }

  return { colour, fit, ball, curve, graticule, arrow, halo, label, shape, CLASSES, SHAPES, SUBSCRIPTS, FONT, set onForgotten(f) { forgotten = f; } };
})();
