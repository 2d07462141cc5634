// The losses of the page, one record each; all are summed over the n points. The theory of merged, full and ADT is that of
// theory.js and story.js (base). Every other loss says where its runs may come to rest:
//   positives(z, s): of InfoNCE's kin, the weighted mean of every anchor's positives; or
//   gradient(z, s): { g, loss }, the gradient of the summed loss as written, and the loss per point
//   weights(logs): of InfoNCE's kin, how much every anchor counts
//   views: of a base, the two views of a sample attract;  reach(s): sigma^2/lambda of its adversary (T40);  adds(s): what he does, in words
//   places(s): where a run may come to rest (places.js)
//     (is, above, below: it attracts between these rates; the numbers there; holds, lost: a clause for either case; its mark;
//     edge: another rate to mark than above or below; open: where it is lost some of its like may still hold; shows, end: what a run there shows, in words and on the map)
//   classed: it sees classes;  balanced: its theory is of classes of one size;  otherwise: what to say where no place attracts, none: the phase
//   unknown(s): why theory does not speak of a setting, if so
//   unit(s): { rate, name, formula }, what the slider counts in where that is not mu_c;  timeless: it has no temperature
//   about: its parameters, in words
"use strict";
const losses = {
  merged: { base: true, views: false, name: "merged" },
  full: {
    base: true, views: true, name: "full InfoNCE",
    positives: (z) => z.map((_, k) => z[(k + z.length / 2) % z.length]),
  },
  ...labelled, ...zoo, ...variants,
};
