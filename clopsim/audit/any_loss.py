"""The theorems that hold for every loss of cosines, or for a whole family of them."""

from clopsim.audit.claim import OURS, Claim, derivation_of
from clopsim.audit.experiments import effective_rate

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
)
