"""The theorems on the losses of the zoo, and what their authors claim."""

from clopsim.audit.claim import OURS, Claim, derivation_of
from clopsim.audit.experiments import (
    entropic_adversary,
    learned_balance,
    lorac,
    pauc,
    pseudo_labels,
    relaxed_penalty,
    trimming,
)

ZOO: tuple[Claim, ...] = (
    Claim(
        identifier="T34",
        statement="A PAUC-style loss holds each class at a point iff l_p > l_p*, whatever its three terms weigh.",
        source=f"{OURS}, of a reconstruction",
        assumptions="balanced classes, mean reductions, small steps; l_c below l_c*, else classes leave the simplex",
        verdict="proved",
        finding="Alignment, uniformity and correlation are terms on class means, which a class that spreads about its"
        " mean does not move. All curvatures at collapse and on the simplex are closed; collapse attracts at no rate;"
        " prototypes collapse the classes above a weight of their own.",
        derivations=(derivation_of("pauc"), derivation_of("pauc_spectra")),
        experiments=(
            pauc.curvatures_at_point_and_simplex,
            pauc.rates_at_point_and_simplex,
            pauc.critical_weights,
        ),
    ),
    Claim(
        identifier="P25",
        system="PAUC style",
        statement="Alignment, uniformity and correlation of prototypes stop the coagulation of ProtoNCE.",
        source="arXiv:2210.10194, abstract; tried on a reconstruction, as no code is public",
        assumptions="the PAUC-style reconstruction: the three terms see class means alone",
        verdict="refuted",
        finding="Not by this reconstruction: they are blind to the spread around a class mean (T34). It says nothing of"
        " the authors' own loss, whose terms may see samples.",
        experiments=(pauc.three_terms_do_not_stop_the_coagulation,),
        rests_on=("T34",),
    ),
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
        system="LORAC",
        statement="With LORAC the views of an instance lie in a subspace of small dimension.",
        source="arXiv:2108.02696, in the form of the authors' code",
        assumptions="a linear map on noisy views, one batch in the place of the queues",
        verdict="refined",
        finding="They do, the more the larger 1/beta, but the rank of all embeddings falls too. That the code drops"
        " tau = 0.2 when the prior starts does more than the prior at its default 15; and the low rank leaks, to 1"
        " for all embeddings at 0.1.",
        experiments=(lorac.low_rank_inside_a_sample,),
        rests_on=("T35",),
    ),
    Claim(
        identifier="T36",
        statement="A learned balance sigma is half a logarithm of its loss: it multiplies every critical rate by 2L.",
        source=OURS,
        assumptions="BLCL-style contrast with the class means of the batch (a reconstruction); sigma at rest above its"
        " floor; balanced classes",
        verdict="proved",
        finding="At complete collapse classes part and nothing acts inside a class, so it attracts at no rate. With the"
        " balance learned the rates that bear the simplex stay finite as the loss falls to 0, and without a floor the"
        " weight has no bound. sigma's own rate is 1 in log sigma and L in sigma.",
        derivations=(derivation_of("learned_balance"),),
        experiments=(
            learned_balance.class_means_at_collapse,
            learned_balance.class_means_settle,
            learned_balance.simplex_while_the_balance_is_learned,
            learned_balance.sigma_comes_to_rest,
        ),
        rests_on=("T29",),
    ),
    Claim(
        identifier="T37",
        statement="FedRCL's relaxed penalty takes collapse from gradient flow and gives it to large ambient steps.",
        source=OURS,
        assumptions="the dense form (ours) of arXiv:2401.04928 without threshold, sum over anchors; balanced classes,"
        " for pulls and spread at collapse any sizes",
        verdict="proved",
        finding="Above beta* complete collapse repels in all directions, and from a larger beta on it attracts ambient"
        " steps above a rate. Classes are points only below beta_E, which vanishes with the temperature, and else"
        " two-level simplices. The balanced line attracts at the lowest rate of the losses here.",
        derivations=(derivation_of("relaxed_penalty"), derivation_of("two_level_simplex")),
        experiments=(
            relaxed_penalty.penalised_point_and_line,
            relaxed_penalty.penalised_point_and_line_attract,
            relaxed_penalty.penalties_that_part_a_class,
            relaxed_penalty.classes_settle_on_two_levels,
        ),
        rests_on=("T27", "T30"),
    ),
    Claim(
        identifier="T38",
        statement="Pseudo-labels bind a class only above a confidence, at complete collapse and again on the simplex.",
        source=OURS,
        assumptions="SsCL-style contrast (a reconstruction): weights q^2 to classmates, 1 to the other view, rows of"
        " sum 1; equal confidences, balanced classes",
        verdict="proved",
        finding="sqrt(n/(2n - m)), and q_E, which at low temperature is next to 1: every doubt keeps spread inside the"
        " classes. Calibration by cosines adds (1 - s)/tau_s to the log-odds: nothing at collapse, so it can keep a"
        " class together and not bring it together.",
        derivations=(derivation_of("pseudo_labels"),),
        experiments=(
            pseudo_labels.guesses_at_collapse,
            pseudo_labels.confidences_that_bind_and_hold,
            pseudo_labels.guessed_views_part_at_their_rate,
            pseudo_labels.calibration_on_the_way_out,
        ),
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
    Claim(
        identifier="T40",
        statement="Noise on embeddings is temperature; an adversary who pays entropy lowers a stable rate by"
        " 2 sigma^2/lambda.",
        source=OURS,
        assumptions="isotropic noise, independent for every embedding; to order sigma^2, or in high dimension;"
        " adversary: best move near a state where the loss is quadratic",
        verdict="proved",
        finding="tau becomes tau (1 + (d-1) sigma^2) in high dimension; in few dimensions and at low temperature noise"
        " lowers the rate at which collapse attracts. A curvature c becomes 1/(1/c - sigma^2/lambda): an adversary"
        " slows the escape from collapse and never stops it; entropy keeps his law from a point. Views part at"
        " tau/2 - 2 sigma^2/lambda and swap at a lower cosine than without him.",
        derivations=(derivation_of("entropic_adversary"), derivation_of("adversarial_views")),
        experiments=(
            entropic_adversary.noise_at_collapse,
            entropic_adversary.noise_is_temperature,
            entropic_adversary.harmonic_shift,
            entropic_adversary.adversarial_rates,
            entropic_adversary.views_swap,
            entropic_adversary.best_law_of_a_linear_loss,
        ),
        rests_on=("T2", "T4", "T5a"),
    ),
)
