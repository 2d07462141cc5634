"""The theorems that hold for every loss of cosines, or for a whole family of them."""

from clopsim.audit.claim import OURS, Claim, derivation_of
from clopsim.audit.experiments import balanced_line, class_state, effective_rate, positive_graph, unequal_pulls

ANY_LOSS: tuple[Claim, ...] = (
    Claim(
        identifier="T27",
        statement="An ambient step is a tangent step at mu/(1 - mu a); a direction of curvature c turns at 2/(c + 2a).",
        source=OURS,
        assumptions="any differentiable loss of cosines, a stationary state with one pull a = z.g; tangent: a = 0",
        verdict="proved",
        finding="T4, T5, T5a are cases. A saddle attracts at no rate; with outward pull minima may hold at every rate;"
        " prototypes take lambda p from c + 2a, so they widen the ambient range and narrow the tangent one.",
        derivations=(derivation_of("effective_rate"),),
        experiments=(effective_rate.multipliers_from_curvature_and_pull, effective_rate.modes_turn_at_their_rates),
    ),
    Claim(
        identifier="T27a",
        statement="Under unequal pulls A a state as a whole turns at 2 over an end of the spectrum of H + 2A.",
        source=OURS,
        assumptions="any differentiable loss of cosines, a stationary state, ambient step; rates at which no embedding"
        " or every one is turned over",
        verdict="proved",
        finding="Every embedding steps at a rate of its own, mu/(1 - mu a_i), so levels mix. A minimum attracts below"
        " 2/max(H + 2A), a maximum above 2/min(H + 2A), a saddle at no rate; with one pull this is T27. The card of a"
        " loss (clopsim card) uses it at optima without symmetry.",
        derivations=(derivation_of("unequal_pulls"),),
        experiments=(unequal_pulls.whole_states_turn_at_their_rates,),
        rests_on=("T27",),
    ),
    Claim(
        identifier="T28",
        statement="At complete collapse positives of eigenvalue omega have the curvature -(2/tau)(omega + 1/(n-1)).",
        source=OURS,
        assumptions="positives symmetric, rows of sum 1, all others in the softmax; in general the slopes dL/ds decide",
        verdict="proved",
        finding="T2 is a case. The parts of the graph of positives, less one, times d - 1, are ways out; the pull is 0,"
        " so collapse attracts at no rate. Class-mates bind above the confidence sqrt(n/(2n - m)).",
        derivations=(derivation_of("positive_graph"),),
        experiments=(positive_graph.collapse_spectra, positive_graph.directions_lost_at_collapse),
    ),
    Claim(
        identifier="T29",
        statement="At a class-collapsed state five numbers of a loss give every curvature, with prototypes or without.",
        source=OURS,
        assumptions="balanced classes, sum over anchors: merged, NT-Xent, SupCon, DCL, SsCL, FedRCL, BLCL and the like",
        verdict="proved",
        finding="T8, T9 and T25 are the merged loss. Above lambda_inf prototypes make the ambient"
        " step stable at every rate; weak ones can take that away (two samples, low temperature).",
        derivations=(derivation_of("class_losses"), derivation_of("class_means"), derivation_of("class_state")),
        experiments=(
            class_state.class_spectra,
            class_state.class_states_break_at_their_rates,
            class_state.weights_that_bind_and_that_make_immune,
        ),
    ),
    Claim(
        identifier="T30",
        statement="The balanced line attracts ambient steps above 2/(c_min + 2a): InfoNCE, DCL, FedRCL, SupCon, SsCL.",
        source=OURS,
        assumptions="half of every class at each end, views at opposite ends; sum over anchors, no momentum",
        verdict="proved",
        finding="T12 is InfoNCE. The merged loss and SupCon with its mean inside the logarithm are never drawn there,"
        " nor SupCon with large classes; FedRCL at the lowest rate of all.",
        derivations=(derivation_of("line_slopes"), derivation_of("line")),
        experiments=(balanced_line.line_spectra, balanced_line.line_attracts_above_its_rate),
    ),
)
