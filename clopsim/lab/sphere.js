// The spheres: orthographic drawings on canvases that turn together, by mouse, touch or arrow keys. They read positions
// and change none; a point that is dragged is reported.
"use strict";
const spheres = (() => {
  let yaw = -1.05, pitch = 0.42; // all three axes in front
  let turned = false; // by the user: then nothing turns by itself
  let onTurn = () => {}, onGrab = () => {};

  function camera() {
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    return (x, y, z) => {
      const a = cy * x + sy * z, b = cy * z - sy * x; // about the vertical axis
      return [a, cp * y - sp * b, sp * y + cp * b]; // right, up, towards the viewer
    };
  }

  // The point that the camera shows at a place: the other way round
  function back(a, y, b) {
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    const up = cp * y + sp * b, towards = cp * b - sp * y;
    return [cy * a - sy * towards, up, sy * a + cy * towards];
  }

  function seen({ z, n }) {
    const project = camera();
    return Array.from({ length: n }, (_, i) => [...project(z[3 * i], z[3 * i + 1], z[3 * i + 2]), i]);
  }

  function turn(right, up) {
    yaw += right;
    pitch = Math.max(-1.5, Math.min(1.5, pitch + up));
    turned = true;
    onTurn();
  }

  const RADIUS = 0.43; // of the canvas
  const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };

  // A sphere on a canvas; tint names the colour of its points
  function create(canvas, tint) {
    const pen = canvas.getContext("2d");
    let held = null, grabbed = null, points = [];

    // Where an event is on the sphere's disc, in radii from the middle
    function disc({ clientX, clientY }) {
      const box = canvas.getBoundingClientRect();
      return [(clientX - box.left) / box.width - 0.5, 0.5 - (clientY - box.top) / box.height].map((x) => x / RADIUS);
    }
    // The front point under an event, or null
    function under(event) {
      const [x, y] = disc(event), reach = (event.pointerType === "mouse" ? 9 : 18) / (RADIUS * canvas.clientWidth);
      const near = points.filter(([, , depth]) => depth >= 0).map(([a, b, , i]) => [Math.hypot(a - x, b - y), i]);
      const [distance, i] = near.reduce((one, other) => (one[0] <= other[0] ? one : other), [Infinity, null]);
      return distance <= reach ? i : null;
    }
    // The place on the front of the sphere that is nearest to an event
    function front(event) {
      const [x, y] = disc(event), size = Math.max(1, Math.hypot(x, y)), [a, b] = [x / size, y / size];
      return back(a, b, Math.sqrt(Math.max(0, 1 - a * a - b * b)));
    }
    canvas.addEventListener("touchstart", (event) => {
      if (under(event.touches[0]) !== null) event.preventDefault(); // a point is dragged, the page not scrolled
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      grabbed = under(event);
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) { canvas.style.cursor = under(event) === null ? "" : "move"; return; }
      if (grabbed !== null) return onGrab(grabbed, front(event));
      const scale = 3 / canvas.clientWidth;
      turn(scale * (event.clientX - held[0]), scale * (event.clientY - held[1]));
      held = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = grabbed = null; });
    canvas.addEventListener("keydown", (event) => {
      if (!KEYS[event.key]) return;
      turn(...KEYS[event.key]);
      event.preventDefault();
    });
    return { draw: (scene) => { points = scene.fixed ? [] : seen(scene); draw(pen, scene, tint); } };
  }

  // scene: {n, loss, lambda, classed}; z, before (where each point came from), mean and axes (the prototypes) with three
  // coordinates each; ring, groups and words: of gathering.find; fixed: no point can be dragged
  function draw(pen, scene, tint) {
    const { canvas } = pen;
    if (!ink.fit(canvas, canvas.clientWidth, canvas.clientWidth)) return;
    const size = canvas.width, centre = size / 2, r = size * RADIUS, dot = Math.max(size / 100, 2.2 * devicePixelRatio);
    const project = camera();
    const at = (x, y, z) => { const p = project(x, y, z); return [centre + r * p[0], centre - r * p[1], p[2]]; };
    const place = (points, i) => at(points[3 * i], points[3 * i + 1], points[3 * i + 2]);
    pen.clearRect(0, 0, size, size);
    ink.ball(pen, centre, r);
    ink.graticule(pen, at, size);
    const points = Array.from({ length: scene.n }, (_, i) => [...place(scene.z, i), i]);
    trails(pen, points.map((p, i) => [place(scene.before, i), p]), tint, size);
    if (losses[scene.loss].views) pairs(pen, points, scene.n, size);
    const groups = scene.groups.map(({ first }) => ({ point: points[first] }));
    for (const { point } of groups)
      ink.halo(pen, point, ink.colour(scene.classed ? ink.CLASSES[physics.label(point[3], scene.n, scene.axes.length)] : tint), size);
    if (scene.ring) circle(pen, scene.ring, at, tint, size);
    const far = points.filter((p) => p[2] < 0).sort((p, q) => p[2] - q[2]);
    const near = points.filter((p) => p[2] >= 0).sort((p, q) => p[2] - q[2]);
    for (const p of far) mark(pen, p, scene, tint, dot);
    ink.arrow(pen, at(...scene.mean), centre, size);
    if (scene.lambda > 0) prototypes(pen, scene.axes, at, size);
    for (const p of near) mark(pen, p, scene, tint, dot);
    const taken = [];
    groups.forEach(({ point }, k) => ink.label(pen, scene.words[k], point, size, { taken }));
    if (scene.ring) {
      const { axis, angle } = scene.ring, middle = at(...axis.map((c) => c * Math.cos(angle)));
      ink.label(pen, scene.words[0], middle, size, { away: RADIUS * Math.sin(angle) + 0.03 });
    }
    pen.globalAlpha = 1;
  }

  function trails(pen, steps, tint, size) {
    pen.globalAlpha = 0.28;
    pen.lineWidth = Math.max(1, size / 500);
    pen.strokeStyle = ink.colour(tint);
    pen.beginPath();
    for (const [from, to] of steps) {
      pen.moveTo(from[0], from[1]);
      pen.lineTo(to[0], to[1]);
    }
    pen.stroke();
  }

  function pairs(pen, points, n, size) {
    pen.globalAlpha = 0.45;
    pen.lineWidth = Math.max(1, size / 450);
    pen.strokeStyle = ink.colour("--pair");
    pen.beginPath();
    for (let i = 0; i < n / 2; i++) {
      pen.moveTo(points[i][0], points[i][1]);
      pen.lineTo(points[i + n / 2][0], points[i + n / 2][1]);
    }
    pen.stroke();
  }

  function circle(pen, { axis, angle }, at, tint, size) {
    const [e, f] = gathering.across(axis), c = Math.cos(angle), s = Math.sin(angle);
    pen.globalAlpha = 0.5;
    pen.strokeStyle = ink.colour(tint);
    pen.lineWidth = size / 220;
    ink.curve(pen, at, (t) => axis.map((x, k) => c * x + s * (Math.cos(t) * e[k] + Math.sin(t) * f[k])), true);
  }

  // Colour and shape say the class, filled or hollow the view, size and strength the depth
  function mark(pen, [x, y, depth, i], scene, tint, dot) {
    const { classed } = scene;
    const kind = classed ? physics.label(i, scene.n, scene.axes.length) : 0;
    const hollow = losses[scene.loss].views && i >= scene.n / 2;
    const size = dot * (1 + 0.28 * depth);
    pen.globalAlpha = depth < 0 ? 0.35 + 0.1 * depth : 0.95;
    const fill = ink.colour(classed ? ink.CLASSES[kind] : hollow ? "--pair" : tint);
    ink.shape(pen, kind, x, y, size);
    pen.fillStyle = hollow ? ink.colour("--ball-light") : fill;
    pen.fill();
    pen.lineWidth = hollow ? dot * 0.4 : Math.max(1, dot * 0.22);
    pen.strokeStyle = hollow ? fill : ink.colour("--ball-light");
    pen.stroke();
  }

  function prototypes(pen, axes, at, size) {
    pen.font = `600 ${Math.round(Math.max(size / 32, 11 * devicePixelRatio))}px ${ink.FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    axes.forEach((axis, k) => {
      const [x0, y0, depth] = at(...axis), [x1, y1] = at(...axis.map((c) => 1.07 * c));
      const out = Math.atan2(y1 - size / 2, x1 - size / 2); // the name stands outwards, also where the axis faces the reader
      pen.globalAlpha = depth < 0 ? 0.35 : 1;
      pen.strokeStyle = pen.fillStyle = ink.colour(ink.CLASSES[k]);
      pen.lineWidth = size / 220;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
      pen.fillText(`c${ink.SUBSCRIPTS[k]}`, x1 + 0.028 * size * Math.cos(out), y1 + 0.028 * size * Math.sin(out));
    });
  }

  return {
    create,
    drift: (seconds) => { if (!turned) yaw += 0.12 * seconds; },
    get view() { return { yaw, pitch }; },
    set onTurn(f) { onTurn = f; }, set onGrab(f) { onGrab = f; },
  };
})();
