// The sphere: orthographic drawing on a canvas, turned by mouse, touch or arrow keys. Reads positions, changes nothing.
"use strict";
const sphere = (() => {
  const canvas = document.getElementById("sphere");
  const pen = canvas.getContext("2d");
  let yaw = -1.05, pitch = 0.42; // all three axes in front
  let turned = false; // by the user: then it no longer turns by itself
  let onTurn = () => {};
  const CLASS_COLOURS = ["--class-a", "--class-b", "--class-c"];

  const colour = (() => {
    let cache = {};
    const forget = () => { cache = {}; onTurn(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);
    return (name) => (cache[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  })();

  function camera() {
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    return (x, y, z) => {
      const a = cy * x + sy * z, b = cy * z - sy * x; // about the vertical axis
      return [a, cp * y - sp * b, sp * y + cp * b]; // right, up, towards the viewer
    };
  }

  function fit() {
    const size = Math.round(canvas.clientWidth * devicePixelRatio) || 1;
    if (canvas.width !== size) canvas.width = canvas.height = size;
    return size;
  }

  // scene: {z, before (where each point came from), n, loss, lambda, mean, axes (the prototypes)}, three coordinates each
  function draw(scene) {
    const size = fit(), centre = size / 2, r = size * 0.43, dot = Math.max(size / 100, 2.2 * devicePixelRatio);
    const project = camera();
    const at = (x, y, z) => { const p = project(x, y, z); return [centre + r * p[0], centre - r * p[1], p[2]]; };
    pen.clearRect(0, 0, size, size);
    ball(centre, r);
    graticule(at, size);
    const points = [];
    for (let i = 0; i < scene.n; i++) points.push([...at(scene.z[3 * i], scene.z[3 * i + 1], scene.z[3 * i + 2]), i]);
    trails(scene, points, at, size);
    if (scene.loss === "full") pairs(points, scene.n, size);
    const far = points.filter((p) => p[2] < 0).sort((p, q) => p[2] - q[2]);
    const near = points.filter((p) => p[2] >= 0).sort((p, q) => p[2] - q[2]);
    for (const p of far) mark(p, scene, dot);
    arrow(scene.mean, at, centre, size);
    if (scene.lambda > 0) prototypes(scene.axes, at, size);
    for (const p of near) mark(p, scene, dot);
    pen.globalAlpha = 1;
  }

  function ball(centre, r) {
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

  function graticule(at, size) {
    pen.strokeStyle = colour("--grid");
    pen.lineWidth = Math.max(1, size / 900);
    const circle = (f) => {
      let drawing = false;
      pen.beginPath();
      for (let k = 0; k <= 72; k++) {
        const [x, y, depth] = at(...f((k * Math.PI) / 36));
        if (depth < 0) { drawing = false; continue; }
        if (drawing) pen.lineTo(x, y); else pen.moveTo(x, y);
        drawing = true;
      }
      pen.stroke();
    };
    pen.globalAlpha = 0.6;
    for (const h of [-0.5, 0, 0.5]) { const c = Math.sqrt(1 - h * h); circle((t) => [c * Math.cos(t), h, c * Math.sin(t)]); }
    for (let k = 0; k < 4; k++) {
      const a = (k * Math.PI) / 4;
      circle((t) => [Math.cos(a) * Math.cos(t), Math.sin(t), Math.sin(a) * Math.cos(t)]);
    }
  }

  function trails(scene, points, at, size) {
    pen.globalAlpha = 0.28;
    pen.lineWidth = Math.max(1, size / 500);
    pen.strokeStyle = colour("--point");
    pen.beginPath();
    for (const [x, y, , i] of points) {
      const from = at(scene.before[3 * i], scene.before[3 * i + 1], scene.before[3 * i + 2]);
      pen.moveTo(from[0], from[1]);
      pen.lineTo(x, y);
    }
    pen.stroke();
  }

  function pairs(points, n, size) {
    pen.globalAlpha = 0.45;
    pen.lineWidth = Math.max(1, size / 450);
    pen.strokeStyle = colour("--pair");
    pen.beginPath();
    for (let i = 0; i < n / 2; i++) {
      pen.moveTo(points[i][0], points[i][1]);
      pen.lineTo(points[i + n / 2][0], points[i + n / 2][1]);
    }
    pen.stroke();
  }

  // Colour and shape say the class, filled or hollow the view, size and strength the depth
  function mark([x, y, depth, i], scene, dot) {
    const classed = scene.lambda > 0;
    const kind = classed ? physics.label(i, scene.n) : 0;
    const hollow = scene.loss === "full" && i >= scene.n / 2;
    const size = dot * (1 + 0.28 * depth) * (kind === 2 ? 1.2 : 1);
    pen.globalAlpha = depth < 0 ? 0.35 + 0.1 * depth : 0.95;
    const tint = colour(classed ? CLASS_COLOURS[kind] : hollow ? "--pair" : "--point");
    pen.beginPath();
    if (kind === 0) pen.arc(x, y, size, 0, 2 * Math.PI);
    else if (kind === 1) pen.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size);
    else { pen.moveTo(x, y - size); pen.lineTo(x + size, y + 0.8 * size); pen.lineTo(x - size, y + 0.8 * size); pen.closePath(); }
    pen.fillStyle = hollow ? colour("--ball-light") : tint;
    pen.fill();
    pen.lineWidth = hollow ? dot * 0.4 : Math.max(1, dot * 0.22);
    pen.strokeStyle = hollow ? tint : colour("--ball-light");
    pen.stroke();
  }

  function arrow(mean, at, centre, size) {
    const [x, y] = at(...mean);
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

  function prototypes(axes, at, size) {
    pen.font = `600 ${Math.round(size / 32)}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    axes.forEach((axis, k) => {
      const [x0, y0, depth] = at(...axis), [x1, y1] = at(...axis.map((c) => 1.07 * c));
      const out = Math.atan2(y1 - size / 2, x1 - size / 2); // the name stands outwards, also where the axis faces the reader
      pen.globalAlpha = depth < 0 ? 0.35 : 1;
      pen.strokeStyle = pen.fillStyle = colour(CLASS_COLOURS[k]);
      pen.lineWidth = size / 220;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
      pen.fillText(["c₁", "c₂", "c₃"][k], x1 + 0.028 * size * Math.cos(out), y1 + 0.028 * size * Math.sin(out));
    });
  }

  // ---- turning --------------------------------------------------------------------------------------------------

  function turn(right, up) {
    yaw += right;
    pitch = Math.max(-1.5, Math.min(1.5, pitch + up));
    turned = true;
    onTurn();
  }
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const scale = 3 / canvas.clientWidth;
    turn(scale * (event.clientX - held[0]), scale * (event.clientY - held[1]));
    held = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    turn(...KEYS[event.key]);
    event.preventDefault();
  });

  return {
    draw, colour,
    drift: (seconds) => { if (!turned) yaw += 0.12 * seconds; },
    get view() { return { yaw, pitch }; },
    set onTurn(f) { onTurn = f; },
  };
})();
