// The guided tour: seven stops, a theorem each. A preset, two sentences, and a question with what to try for it: settings on
// top of the page's own, from the preset's start (restart), moving at once (play).
"use strict";
const tour = [
  {
    name: "A saddle", theorem: "T1, T2", play: true,
    preset: { x: 0.25, tau: 0.5, n: 60, loss: "full", gradient: "tangent", start: "collapse", speed: 6 },
    text: "With all points on one spot every cosine loss is flat, so collapse looks like a place to rest (T1). " +
      "It is a saddle: the slightest spread grows at small steps, and the run walks away from it (T2).",
    question: "Start near collapse at the smallest rate, at 1 and at the largest. Does any of them hold the points together?",
    tries: [
      { label: "1/16 of μ_c", set: { x: 1 / 16 }, restart: true, play: true },
      { label: "μ_c", set: { x: 1 }, restart: true, play: true },
      { label: "16 μ_c", set: { x: 16 }, restart: true, play: true },
    ],
  },
  {
    name: "The paper’s range", theorem: "T3", play: false,
    preset: { x: 0.4915, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", start: "collapse", speed: 3 },
    text: "Each step multiplies the mean by 1 − 2μ/τ, so the paper’s safe range is 0 < μ < τ (T3). " +
      "In its middle, at μ = τ/2, the mean vanishes at once: a single step blows the cluster apart.",
    question: "Press Step once and look. Then start at ¼ and at 0.9, and press Step five times: which one opens the cluster more slowly?",
    tries: [
      { label: "¼ of μ_c", set: { x: 0.25 }, restart: true },
      { label: "0.9 μ_c", set: { x: 0.9 }, restart: true },
    ],
  },
  {
    name: "The exact bound", theorem: "T4", play: true,
    preset: { x: 1.05, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", start: "uniform", speed: 6 },
    text: "For n points the bound is exactly μ_c = τ(n − 1)/(n − 2): above it a collapsed batch pulls every " +
      "stray point back in. Below it, strays are pushed out.",
    question: "Once all points sit together, lower the rate to 1.01 μ_c, then to 0.99 μ_c. On which side of μ_c does the spot open?",
    tries: [
      { label: "1.01 μ_c", set: { x: 1.01 }, play: true },
      { label: "0.99 μ_c", set: { x: 0.99 }, play: true },
    ],
  },
  {
    name: "Lines and clusters", theorem: "T5", play: true,
    preset: { x: 0.55, tau: 0.3, n: 120, loss: "merged", gradient: "ambient", start: "uniform", speed: 12 },
    text: "A ripple of degree ℓ on the even spread grows once μ passes μ_A = 2/(max e_ℓ + 4A₁/τ): degree 1 makes a point, 2 a " +
      "line, 3 and more clusters. At low temperature it is not degree 1: the rank falls while the mean stays small.",
    question: "Start at three temperatures, each a little above its μ_A. Which lifts the mean length, which lowers the rank alone, which neither?",
    tries: [
      { label: "τ = 1", set: { tau: 1, x: 0.95 }, restart: true, play: true },
      { label: "τ = 0.3", set: { tau: 0.3, x: 0.55 }, restart: true, play: true },
      { label: "τ = 0.15", set: { tau: 0.15, x: 0.47 }, restart: true, play: true },
    ],
  },
  {
    name: "Swapping views", theorem: "T5, T10", play: true,
    preset: { x: 0.8, tau: 0.5, n: 60, loss: "full", gradient: "tangent", start: "views", speed: 4 },
    text: "The full loss pulls the two views of a sample together, and above μ = τ/2 it overshoots: they swap places at cosine " +
      "τ/(2μ) (T5). Training code leaves the norm free, and weight decay w then lets each pair circle about cosine 1 − μw (T10).",
    question: "Choose the free norm with decay 0.1. Close to which mark of the track does the diamond, the effective rate, stay?",
    tries: [{ label: "free norm, decay 0.1", set: { gradient: "free", decay: 0.1, speed: 60 }, play: true }],
  },
  {
    name: "Prototypes", theorem: "T6–T8", play: true,
    preset: { x: 2, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", lambda: 8, start: "collapse", speed: 3 },
    text: "Three orthonormal prototypes pull each class to an axis of its own, and no collapsed state is at rest (T6). " +
      "With enough weight a single step rescues the run at any learning rate (T7); a small one leaves it beside the spot (T16).",
    question: "Set λ to 0 and wait for the collapse. Which of the weights 0.25 and 8 brings the three classes back?",
    tries: [
      { label: "λ = 0", set: { lambda: 0, speed: 12 }, restart: true, play: true },
      { label: "λ = 0.25", set: { lambda: 0.25 }, play: true },
      { label: "λ = 8", set: { lambda: 8 }, play: true },
    ],
  },
  {
    name: "Axes or a simplex", theorem: "T8, T9, T18", play: true,
    preset: { x: 0.3, tau: 0.5, n: 60, loss: "merged", gradient: "tangent", lambda: 3.25, start: "random", speed: 24 },
    text: "Three orthonormal prototypes hold the classes about 90° apart, in three directions; a simplex 120° apart, in two (T8, T18). " +
      "Either holds a class on one point only above its own critical weight λ* (T9, T18).",
    question: "At λ = 3.25, which kind puts each class on one point, and how far apart? At λ = 4 both do.",
    tries: [
      { label: "simplex", set: { prototypes: "simplex", lambda: 3.25 }, restart: true, play: true },
      { label: "axes", set: { prototypes: "orthonormal", lambda: 3.25 }, restart: true, play: true },
      { label: "λ = 4", set: { lambda: 4 }, play: true },
    ],
  },
];
tour.open = null; // the number of the stop whose card is open
