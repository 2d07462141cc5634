// The settings: one flat record, the same in the controls, the address bar and the test hooks.
"use strict";
const settings = (() => {
  const number = (low, high) => (value) => {
    const x = typeof value === "string" && value.trim() === "" ? NaN : Number(value);
    return Number.isFinite(x) ? Math.min(high, Math.max(low, x)) : undefined;
  };
  const whole = (low, high, by = 1) => (value) => {
    const x = number(low, high)(value);
    return x === undefined ? x : by * Math.round(x / by);
  };
  const word = (...words) => (value) => (words.includes(value) ? value : undefined);
  const FIELDS = {
    view: { check: word("one", "pair"), initial: "one" }, // one run, or two at 0.9 and 1.1 of the rate
    x: { check: number(1 / 16, 16), initial: 1.08 }, // learning rate in units of mu_c
    tau: { check: number(0.05, 2), initial: 0.5 },
    n: { check: whole(6, 200, 2), initial: 60 }, // even: two views a sample
    loss: { check: (name) => (Object.hasOwn(losses, name) ? name : undefined), initial: "merged" },
    gradient: { check: word("ambient", "tangent", "free"), initial: "ambient" },
    decay: { check: number(0, 0.5), initial: 0 },
    lambda: { check: number(0, 20), initial: 0 },
    classes: { check: whole(2, 8), initial: 3 }, // K
    prototypes: { check: word("orthonormal", "simplex"), initial: "orthonormal" },
    dim: { check: whole(3, 16), initial: 3 },
    network: { check: word("off", "on"), initial: "off" }, // embeddings: free points, or outputs of a small network
    momentum: { check: number(0, 0.95), initial: 0 }, // beta of the heavy ball
    start: { check: word("random", "collapse", "uniform", "views"), initial: "uniform" },
    seed: { check: whole(1, 9999), initial: 1 },
    speed: { check: number(1, 512), initial: 6 }, // steps per second
  };
  const FACTORS = [0.9, 1.1]; // of the rate: the two runs of a pair
  const RESTARTS = ["n", "dim", "network", "start", "seed"]; // everything else acts on the running points
  const INITIAL = Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, field.initial]));
  const values = { ...INITIAL };

  // What of an object or address is a valid setting; the unknown is ignored, numbers are clamped
  function valid(wanted) {
    const found = {};
    for (const [name, field] of Object.entries(FIELDS)) {
      const value = wanted[name] === undefined ? undefined : field.check(wanted[name]);
      if (value !== undefined) found[name] = value;
    }
    return found;
  }
  // As many prototypes fit into d dimensions as it has, and one more as a simplex. Where K are more, d grows with them, or K
  // gives way to a d that was asked for alone. Returns what changes besides what is wanted, and why.
  function fitting(wanted) {
    const { classes: K, prototypes: kind, dim: d } = { ...values, ...wanted }, most = kind === "simplex" ? d + 1 : d;
    if (K <= most) return { more: {}, why: "" };
    const need = kind === "simplex" ? K - 1 : K, what = `${K} ${kind === "simplex" ? "corners of a simplex" : "orthonormal prototypes"} need ${need} dimensions`;
    if ("dim" in wanted && !("classes" in wanted)) return { more: { classes: most }, why: `${what}: with d = ${d}, K is now ${most}.` };
    return { more: { dim: need }, why: `${what}: d is now ${need}, where it was ${d}.` };
  }
  const address = () => new URLSearchParams(location.hash.slice(1));
  const fromHash = () => valid(Object.fromEntries(address()));
  // What of the address could not be taken as it stands: one line, or ""
  function misread() {
    const said = Object.fromEntries(address()), names = Object.keys(said), list = (words) => words.join(", ").replace(/, (?=[^,]*$)/, " and ");
    const same = (text, value) => value !== undefined && (text === value || Number(text) === value);
    const off = names.filter((name) => Object.hasOwn(FIELDS, name) && !same(said[name], FIELDS[name].check(said[name])));
    const unknown = names.filter((name) => (name === "stop" ? stopFromHash() === null : name !== "v" && !Object.hasOwn(FIELDS, name)));
    const parts = [off.length && `${list(off)} could not be used (${list(off.map((name) => `${name} = ${values[name]}`))} instead)`,
      unknown.length && `${list(unknown.slice(0, 3).map((name) => name.slice(0, 20)))} ${unknown.length > 1 ? "are" : "is"} unknown`].filter(Boolean);
    return parts.length ? `The link’s ${parts.join("; ")}.` : "";
  }
  let writing = 0;
  function toHash() {
    clearTimeout(writing); // browsers limit how often an address may change
    const before = location.hash; // a link followed meanwhile is not written over
    writing = setTimeout(() => { if (location.hash === before) history.replaceState(null, "", "#" + hash()); }, 200);
  }
  const hash = () => "v=1&" + Object.entries(values).map(([name, value]) => `${name}=${value}`).join("&") +
    (tour.open === null ? "" : `&stop=${tour.open + 1}`);
  // The stop of the tour that a link opens, from 0 on; null for none
  const stopFromHash = () => {
    const stop = Number(address().get("stop"));
    return Number.isInteger(stop) && tour[stop - 1] ? stop - 1 : null;
  };

  return { values, INITIAL, FIELDS, FACTORS, RESTARTS, valid, fitting, fromHash, stopFromHash, misread, toHash, hash };
})();
