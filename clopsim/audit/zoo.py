"""The theorems on the losses of the zoo, and what their authors claim."""

from clopsim.audit.claim import OURS, Claim, derivation_of
from clopsim.audit.experiments import lorac, trimming

ZOO: tuple[Claim, ...] = (
    Claim(
        identifier="T35",
        statement="LORAC never aligns the views of a sample at a finite rate, and may end on the antipodal line.",
        source=OURS,
        assumptions="two views in the batch, mean over anchors; curvatures: smoothed norm; residual angle: simplex,"
        " tangent step; basin: one pair, no negatives",
        verdict="proved",
        finding="The norm has a kink where views agree: a push that does not fade, so they swap at an angle that is"
        " proportional to the rate. It has one where they are opposite too. The line attracts ambient steps above a"
        " rate in which the prior all but cancels.",
        derivations=(derivation_of("lorac"), derivation_of("lorac_kink")),
        experiments=(
            lorac.multipliers_at_point_and_line,
            lorac.line_threshold,
            lorac.views_never_align,
            lorac.antipodal_basin,
        ),
    ),
    Claim(
        identifier="P26",
        statement="With LORAC the views of an instance lie in a subspace of small dimension.",
        source="arXiv:2108.02696, in the form of the authors' code",
        assumptions="a linear map on noisy views, one batch in the place of the queues",
        verdict="refined",
        finding="They do, the more the larger 1/beta. But that the code drops tau = 0.2 when the prior starts does more"
        " than the prior at its default 15; and the low rank leaks: the rank of all embeddings falls too, to 1 at 0.1.",
        experiments=(lorac.low_rank_inside_a_sample,),
        rests_on=("T35",),
    ),
    Claim(
        identifier="T39",
        statement="Trimming the anchors of largest loss raises the rate above which complete collapse attracts.",
        source=OURS,
        assumptions="merged loss, ambient step, sum over anchors; lower bound for ranks that change, tight for a fixed"
        " choice; full loss: a fixed choice, views together",
        verdict="proved",
        finding="Near collapse the low losses belong to the outlying anchors, so trimming does not drop those that"
        " object. Whatever the ranks, a step multiplies volumes alike: below the bound collapse cannot attract, but for"
        " a narrow window where one direction is wiped out. n = 64: 1.02 tau untrimmed, above 1.11, 1.19, 1.35 tau with"
        " 57, 48, 32 kept. The full loss is not attracted by a fixed choice, at any rate.",
        derivations=(derivation_of("trimming"),),
        experiments=(
            trimming.one_step,
            trimming.volume_of_a_step,
            trimming.switching_runs,
            trimming.fixed_choices,
            trimming.low_losses_are_outlying,
        ),
        rests_on=("T27",),
    ),
)
