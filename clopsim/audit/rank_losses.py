"""Losses that promise rank: SimO, Anti-Collapse, the unhinged loss. Their theorems, and what their authors claim."""

from clopsim.audit.claim import OURS, Claim, derivation_of
from clopsim.audit.experiments import anti_collapse, simo, unhinged

RANK_LOSSES: tuple[Claim, ...] = (
    Claim(
        identifier="T31",
        statement="SimO: collapse repels as 1/eps^2, orthonormal class points hold below a rate, split classes do too.",
        source=OURS,
        assumptions="classes of equal size, the sum; pair form of the authors' code, ratio form in the paper's style",
        verdict="proved",
        finding="Complete collapse attracts at no rate for eps <= 1. The safe rate at the optimum does not see eps, so"
        " that near collapse it is thousands of times too large. A class over both ends of a line is a minimum too: for"
        " every split in the pair form, below an eps in the ratio form.",
        derivations=(derivation_of("simo"), derivation_of("simo_lines")),
        experiments=(
            simo.multipliers_at_collapse,
            simo.collapse_attracts_at_large_eps,
            simo.optimum_turns_at_its_rate,
            simo.split_classes_hold,
            simo.leaning_makes_classes_cheap_to_merge,
        ),
    ),
    Claim(
        identifier="T32",
        statement="Anti-Collapse: lines only repel, tight frames hold, prototypes above lambda* lower the rank to K.",
        source=OURS,
        assumptions="pair form, unit rows; classes on orthonormal points for lambda*, balanced",
        verdict="proved",
        finding="Collapse attracts at no rate; a tight frame is stable below 2/c for the tangent step and at every rate"
        " for the ambient one. lambda* is 0.512 for 4 classes in 8 dimensions at the defaults, below CLOP's 1.",
        derivations=(derivation_of("anti_collapse"),),
        experiments=(
            anti_collapse.multipliers_at_collapse,
            anti_collapse.highest_curvature_of_frames,
            anti_collapse.frames_turn_at_their_rate,
            anti_collapse.many_rows_lower_the_curvature,
            anti_collapse.prototypes_collapse_classes,
        ),
    ),
    Claim(
        identifier="T33",
        statement="Rows of the unhinged loss reach their class's point below 2n/|q| and swap around it above.",
        source=OURS,
        assumptions="fixed class directions, mean over n rows; tangent step: ambient steps arrive at every rate",
        verdict="proved",
        finding="Each row turns on its circle through q, |q| = 1 + gamma for a simplex. Above the rate it changes sides"
        " in each step, at up to 45 degrees. No line is stationary for three classes, so T1 fails, by design.",
        derivations=(derivation_of("unhinged"),),
        experiments=(
            unhinged.prototype_limit,
            unhinged.swaps,
            unhinged.no_line_is_stationary,
            unhinged.multipliers_at_learned_directions,
        ),
    ),
    Claim(
        identifier="P22",
        system="SimO",
        statement="Without SimO's orthogonality part fewer classes stay distinguishable.",
        source="arXiv:2410.05233, as reviews report its ablation",
        assumptions="free embeddings, ratio form in the paper's style, 10 classes of 4 in 10 dimensions",
        verdict="refined",
        finding="From near collapse, 8 of 10 against 10; from random rows 6 against 7. Where only distances count,"
        " classes whose means add up to 0 are optimal. From random rows classes settle on both ends of a line with"
        " the part too: 7 are left, 6 without.",
        experiments=(simo.orthogonality_keeps_classes_apart,),
        rests_on=("T31",),
    ),
    Claim(
        identifier="P23",
        system="Anti-Collapse",
        statement="The coding-rate term raises the effective rank under a proxy loss.",
        source="arXiv:2407.03106, in the form of the authors' code",
        assumptions="free embeddings and proxies, 8 classes of 4 in 16 dimensions, near collapse and at random",
        verdict="refined",
        finding="It raises that of the proxies, up to all 8, and that of the embeddings in the pair form alone. Not"
        " of the embeddings when it is the rate of the proxies, as in the code by default. CLOP's prototypes of"
        " weight 1 then lower it, from d to K.",
        experiments=(anti_collapse.rank_of_proxies_and_embeddings, anti_collapse.rank_with_prototypes),
        rests_on=("T32",),
    ),
    Claim(
        identifier="P24",
        system="unhinged",
        statement="The unhinged loss converges from every start but the opposite one if mu |q|/n <= 1, exponentially.",
        source="arXiv:2312.07841, Theorem 7",
        assumptions="fixed directions that add up to 0, rows on the sphere or with a free norm of 1",
        verdict="refined",
        finding="It does, by |1 - x| a step for x = mu |q|/n, and the condition is half the limit. That is the half"
        " without overshoot: on the sphere x < 2 converges; with a free norm so does every x tried, up to 50, as the"
        " norm grows.",
        experiments=(unhinged.step_condition_of_the_theorem, unhinged.free_norm_converges),
        rests_on=("T33",),
    ),
)
"""One claim: what is said, by whom, under which assumptions, what became of it, and the evidence."""
