// The guided tour: six stops, a theorem each. A preset, two sentences, a question to try.
"use strict";
const tour = [
  {
    name: "A saddle", theorem: "T1, T2", play: true,
    preset: { x: 0.25, tau: 0.5, n: 60, loss: "full", gradient: "tangent", decay: 0, lambda: 0, start: "collapse", speed: 6 },
    text: "With all points on one spot every cosine loss is flat, so collapse looks like a place to rest (T1). " +
      "It is a saddle: the slightest spread grows at small steps, and the run walks away from it (T2).",
    question: "Press Reset and make the learning rate as small as it goes. Does any rate hold the points together?",
  },
  {
    name: "The paper’s range", theorem: "T3", play: false,
    preset: { x: 0.4915, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", decay: 0, lambda: 0, start: "collapse", speed: 3 },
    text: "Each step multiplies the mean by 1 − 2μ/τ, so the paper’s safe range is 0 < μ < τ (T3). " +
      "In its middle, at μ = τ/2, the mean vanishes at once: a single step blows the cluster apart.",
    question: "Press Step once and look. Then reset and step at ¼ and at 0.9: which one opens the cluster more slowly?",
  },
  {
    name: "The exact bound", theorem: "T4", play: true,
    preset: { x: 1.05, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", decay: 0, lambda: 0, start: "uniform", speed: 6 },
    text: "For n points the bound is exactly μ_c = τ(n − 1)/(n − 2): above it a collapsed batch pulls every " +
      "stray point back in. Below it, strays are pushed out.",
    question: "Once all points sit together, lower the rate bit by bit. Where does the spot open, and how sharply?",
  },
  {
    name: "Lines and clusters", theorem: "T5", play: true,
    preset: { x: 0.55, tau: 0.3, n: 120, loss: "merged", gradient: "ambient", decay: 0, lambda: 0, start: "uniform", speed: 12 },
    text: "A ripple of degree ℓ on the even spread grows once μ passes μ_A = 2/(max e_ℓ + 4A₁/τ): degree 1 makes a point, 2 a " +
      "line, 3 and more clusters. At low temperature it is not degree 1: the rank falls while the mean stays small.",
    question: "Raise the temperature to 1, then lower it to 0.1, and reset each time. Into what does the spread break?",
  },
  {
    name: "Swapping views", theorem: "T5, T10", play: true,
    preset: { x: 0.8, tau: 0.5, n: 60, loss: "full", gradient: "tangent", decay: 0, lambda: 0, start: "views", speed: 4 },
    text: "The full loss pulls the two views of a sample together, and above μ = τ/2 it overshoots: they swap places at cosine " +
      "τ/(2μ) (T5). Training code leaves the norm free, and weight decay w then lets each pair circle about cosine 1 − μw (T10).",
    question: "Choose the free norm with decay 0.1 and more speed. Close to which mark does the diamond, the effective rate, stay?",
  },
  {
    name: "Prototypes", theorem: "T6–T8", play: true,
    preset: { x: 2, tau: 0.5, n: 60, loss: "merged", gradient: "ambient", decay: 0, lambda: 8, start: "collapse", speed: 3 },
    text: "Three orthonormal prototypes pull each class to an axis of its own, and no collapsed state is at rest (T6). " +
      "With enough weight a single step rescues the run at any learning rate (T7).",
    question: "Set λ to 0 and wait for the collapse. Which is the smallest λ that brings the three classes back?",
  },
];
tour.open = null; // the number of the stop whose card is open
