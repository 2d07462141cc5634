"""The registry of claims: what is said, by whom, under which assumptions, what became of it, and the evidence."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clopsim.audit import certificates
from clopsim.audit.experiments import Experiment, clop, collapse, free_norm, long_runs, uniform

if TYPE_CHECKING:
    from bounds.derivation import Derivation

Verdict = Literal["proved", "certified", "measured", "refined", "refuted"]
"""proved: symbolically, for all symbols. certified: by enclosures in rigorous arithmetic. measured: simulation alone.
refined: true in a sharper or narrower form, which is given. refuted: false as stated, with a counterexample."""

V1 = "arXiv:2403.18699v1"
V2 = "arXiv:2403.18699v2"
SUCCESSOR = "arXiv:2512.07880"
OURS = "ours"


@dataclass(frozen=True)
class Claim:
    """One claim and its evidence; the audit runs the evidence and compares the verdict with the recorded one."""

    identifier: str  # T1 .. T10: theorems; P1 ..: claims of the paper
    statement: str
    source: str  # paper, version and number, or "ours"
    assumptions: str
    verdict: Verdict  # recorded; the audit confirms it or exits with 1
    finding: str  # what the evidence says, in a sentence or two
    derivations: tuple[Callable[[], "Derivation"], ...] = ()
    certificates: tuple[Callable[[], dict[str, bool]], ...] = ()  # statement -> whether it is certified
    experiments: tuple[Callable[[], Experiment], ...] = ()
    rests_on: tuple[str, ...] = ()  # claims whose evidence this one uses too


def derivation_of(module: str) -> "Callable[[], Derivation]":
    """The derive() of a file in bounds, imported when it runs: sympy is slow to load."""
    return lambda: importlib.import_module(f"bounds.{module}").derive()


THEOREMS = (
    Claim(
        identifier="T0",
        statement="The closed-form gradients that the simulator uses are the gradients of the losses.",
        source=OURS,
        assumptions="full and merged InfoNCE, symmetric and detached keys; the prototype term in its three distances",
        verdict="proved",
        finding="Symbolically for generic embeddings; the tests hold the torch code against autograd and a slow loop.",
        derivations=(derivation_of("gradients"),),
    ),
    Claim(
        identifier="T1",
        statement="At z_i = +-z* every loss that sees the embeddings through their cosines alone is stationary.",
        source=f"{V1}, Theorem 3.1 (first part); {SUCCESSOR}, Lemma 1",
        assumptions="any loss that is differentiable in the cosines",
        verdict="proved",
        finding="For an undefined function of the cosines. A zero gradient alone says nothing about a minimum: see T2.",
        derivations=(derivation_of("stationarity"),),
        experiments=(collapse.rank_one_is_stationary,),
    ),
    Claim(
        identifier="T2",
        statement="Complete collapse is a strict saddle of InfoNCE and a strict local maximum of the merged loss.",
        source=f"{OURS}; corrects {V1}, Theorem 3.1",
        assumptions="n > 2; up to rotation",
        verdict="proved",
        finding="Views together: curvature -2n/(tau(n-1)) < 0. Small steps leave the collapse.",
        derivations=(derivation_of("curvature"),),
        experiments=(
            collapse.collapse_is_a_saddle,
            collapse.runs_leave_the_collapse,
            long_runs.small_steps_end_far_from_collapse,
        ),
    ),
    Claim(
        identifier="T3",
        statement="One ambient step moves the mean by an identity in the column sums of the softmax.",
        source=f"{OURS}, from the mean argument of {SUCCESSOR}",
        assumptions="ambient gradient, before renormalising; any configuration",
        verdict="proved",
        finding="Doubly stochastic softmax: the mean contracts by |1 - 2 mu/tau|, the paper's range 0 < mu < tau.",
        derivations=(derivation_of("mean_shift"),),
        experiments=(collapse.mean_shift, collapse.mean_bound),
    ),
    Claim(
        identifier="T4",
        statement="Complete collapse attracts iff mu > mu_c = tau (n-1)/(n-2).",
        source=OURS,
        assumptions="merged loss, ambient gradient, sum; in the full loss the views come apart there instead",
        verdict="certified",
        finding="Proved for all n, found by bisection to 0.02 %, attraction and repulsion certified on either side.",
        derivations=(derivation_of("collapse"),),
        certificates=(certificates.collapse,),
        experiments=(
            collapse.collapse_multipliers,
            collapse.collapse_threshold,
            collapse.full_loss_keeps_off_the_point,
        ),
    ),
    Claim(
        identifier="T5",
        statement="The uniform state breaks at mu_T or mu_A, by the harmonic degree with the largest e_l.",
        source=OURS,
        assumptions="n -> infinity",
        verdict="certified",
        finding="Before the paper's rate at low temperature, and there towards lines (2) or clusters (3 and more).",
        derivations=(derivation_of("uniform"),),
        certificates=(certificates.uniform,),
        experiments=(uniform.uniform_threshold, uniform.ripple_decay, uniform.breaking_degree),
    ),
    Claim(
        identifier="T5a",
        statement="In the uniform state the views come apart at tau/2 (tangent) or tau/(2 A_1) (ambient), then swap.",
        source=OURS,
        assumptions="full loss, n -> infinity",
        verdict="proved",
        finding="The swap has period two and cosine tau/(2 mu).",
        derivations=(derivation_of("alignment"),),
        experiments=(uniform.alignment_threshold, uniform.swap_of_the_views),
    ),
    Claim(
        identifier="T6",
        statement="With two labelled classes no rank-1 state of the CLOP loss is stationary.",
        source=f"{OURS}, made quantitative from {V2}",
        assumptions="fixed orthonormal prototypes, cosine distance",
        verdict="proved",
        finding="Squared gradient >= lambda^2 (1 - max_k n_k/|S|)/|S|, attained at the largest class's prototype.",
        derivations=(derivation_of("rank_one_floor"),),
        experiments=(clop.no_rank_one_state_survives, clop.every_line_has_a_gradient),
    ),
    Claim(
        identifier="T7",
        statement="A large enough prototype weight brings every labelled sample near its prototype in one step.",
        source=OURS,
        assumptions="merged loss, ambient gradient, mu lambda > 1 + mu H",
        verdict="proved",
        finding="Whatever the rate and the start: angle at most arcsin((H + 1/mu)/lambda), attained.",
        derivations=(derivation_of("rescue"),),
        experiments=(clop.rescue_in_one_step, clop.leading_share_within_an_angle),
    ),
    Claim(
        identifier="T8",
        statement="CLOP's class equilibrium runs from the simplex ETF (small weight) to the orthonormal frame (large).",
        source=OURS,
        assumptions="merged loss, all samples labelled, balanced, small steps, weight above T9's critical one",
        verdict="certified",
        finding="Closed form up to one root, which is enclosed; the simulation agrees.",
        derivations=(derivation_of("equilibrium"),),
        certificates=(certificates.equilibrium,),
        experiments=(clop.between_simplex_and_frame, clop.rank_between_simplex_and_frame),
    ),
    Claim(
        identifier="T9",
        statement="Below a critical prototype weight every class keeps internal spread, above it falls onto one point.",
        source=OURS,
        assumptions="as T8; m >= 2; d > K, and d = K with one more term",
        verdict="proved",
        finding="So T8 describes the equilibrium above the critical weight only.",
        derivations=(derivation_of("critical_weight"),),
        experiments=(clop.curvature_inside_a_class, clop.spread_below_the_critical_weight),
    ),
    Claim(
        identifier="T10",
        statement="With a free norm and weight decay w the views settle at cosine 1 - mu w, |u|^2 at 2 mu/tau.",
        source=OURS,
        assumptions="full loss, tangent gradient, n -> infinity, alignment is the first instability",
        verdict="proved",
        finding="The swap is exact at every angle; above mu w = 0.03 long runs end up to 5 % further from 1.",
        derivations=(derivation_of("free_norm"),),
        experiments=(free_norm.decay_sets_the_alignment, free_norm.decay_sets_the_norm),
    ),
)

PAPER = (
    Claim(
        identifier="P1",
        statement="All-equal and rank-1 embeddings are stationary for every cosine-only loss.",
        source=f"{V1}, Theorem 3.1; {SUCCESSOR}, Lemma 1",
        assumptions="differentiable in the cosines",
        verdict="proved",
        finding="T1. Footnote: the draft's proof writes P_i, a probability, as -log of one at the collapsed state.",
        rests_on=("T1",),
    ),
    Claim(
        identifier="P2",
        statement="They are local minima of InfoNCE.",
        source=f"{V1}, Theorem 3.1",
        assumptions="none stated",
        verdict="refuted",
        finding="T2: a strict saddle. The draft concludes a minimum from a zero gradient alone.",
        rests_on=("T2",),
    ),
    Claim(
        identifier="P3",
        statement="Learning rates outside a range centred at tau/2 drive the merged loss to collapse.",
        source=f"{SUCCESSOR}, learning-rate bound",
        assumptions="merged loss, ambient gradient",
        verdict="refined",
        finding="The edge is tau (n-1)/(n-2), not tau; low temperature breaks the uniform state earlier (T5).",
        experiments=(long_runs.merged_runs_collapse_outside_the_range,),
        rests_on=("T3", "T4", "T5"),
    ),
    Claim(
        identifier="P4",
        statement="The same holds for the full InfoNCE loss.",
        source="asked by a reviewer of v2, not answered there",
        assumptions="full loss",
        verdict="refuted",
        finding="Collapse onto a point never attracts; the views come apart. Far above, ambient runs end on one line.",
        experiments=(
            collapse.full_loss_keeps_off_the_point,
            long_runs.full_runs_do_not_collapse,
            long_runs.full_loss_ends_on_a_line,
        ),
        rests_on=("T4", "T5a"),
    ),
    Claim(
        identifier="P5",
        statement="The bound does not depend on the batch size.",
        source=f"{SUCCESSOR}, implicit",
        assumptions="none stated",
        verdict="refined",
        finding="A factor (n-1)/(n-2) for the sum; proportional to n for the mean, so small batches collapse first.",
        experiments=(collapse.batch_size,),
        rests_on=("T4",),
    ),
    Claim(
        identifier="P6",
        statement="CLOP rules collapse out.",
        source=f'{V2} and {SUCCESSOR}, abstracts: "designed to prevent" collapse, read as a claim',
        assumptions="at least two labelled classes; on the embeddings themselves",
        verdict="proved",
        finding="T6: no rank-1 state is stationary; T7: one step leaves it, given the weight.",
        experiments=(clop.rank_at_every_rate, clop.rank_without_prototypes),
        rests_on=("T6", "T7"),
    ),
    Claim(
        identifier="P7",
        statement="CLOP gathers each class near its prototype.",
        source=f"{V2}, implicit",
        assumptions="none stated",
        verdict="refined",
        finding="Onto one point only above the critical weight of T9.",
        rests_on=("T8", "T9"),
    ),
    Claim(
        identifier="P8",
        statement="CLOP is stable across learning rates.",
        source=f"{V2} and {SUCCESSOR}, abstracts",
        assumptions="table embedder; in networks it depends on the weight decay (figures training, networks_decay)",
        verdict="measured",
        finding="The rank is that of the equilibrium from 0.5 to 10 mu_c, where runs without prototypes collapse.",
        experiments=(clop.rank_at_every_rate, clop.rank_without_prototypes),
    ),
    Claim(
        identifier="P9",
        statement="Large learning rates collapse real encoders.",
        source=f"{SUCCESSOR}, Figure 2",
        assumptions="table embedder with a free norm; networks are measured in figures/networks_decay.py",
        verdict="refined",
        finding="A free norm grows until the step is safe, so the rate alone does not collapse it; see T10.",
        experiments=(free_norm.free_norm_finds_the_edge,),
        rests_on=("T10",),
    ),
    Claim(
        identifier="P10",
        statement="Orthonormal prototypes leave classes better separated than a simplex ETF.",
        source=f'{V2}, abstract: "more distinguishable" than with a simplex ETF',
        assumptions="as T8",
        verdict="refined",
        finding="Rank K against K - 1, but a smaller angle: 90 degrees against arccos(-1/(K-1)). T8 gives all between.",
        rests_on=("T8",),
    ),
)

CLAIMS: tuple[Claim, ...] = THEOREMS + PAPER
