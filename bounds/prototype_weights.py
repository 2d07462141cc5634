"""What prototypes do to the classes of a setting, in one record, with the reason where there is no answer."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from clopsim.bounds.collapse import exact_rate
from clopsim.bounds.distances import euclidean_critical_weight, manhattan_critical_weight
from clopsim.bounds.equiangular import authors_etf_cosine, equiangular_critical_weight, equiangular_equilibrium
from clopsim.bounds.labels import lone_unlabelled_cosine
from clopsim.bounds.setting import Setting, one_of, whole_number
from clopsim.bounds.weak_prototypes import weak_effective_rank

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

Prototypes = Literal["orthonormal", "etf", "simplex"]
"""orthonormal: CLOP; etf: the authors' option of that name, cosine -1/(d-1); simplex: the K-simplex ETF."""

PrototypeDistance = Literal["cosine", "euclidean", "manhattan"]
"""Of the prototype term; the weight of point_weight, euclidean_weight or manhattan_weight."""

LARGE = 10.0
"""The learning rate of rank_at_large_rates, in units of mu_c; T16's displacement is within 11 % of its limit there."""


@dataclass(frozen=True)
class PrototypeWeights:
    """Balanced classes, weights per labelled sample next to the sum loss; None where there is no answer."""

    prototype_cosine: float  # between two prototypes
    point_weight: float | None  # T9, T18: above it every class is one point, cosine distance
    euclidean_weight: float | None  # T20: above it the Euclidean distance holds every sample on its prototype
    manhattan_weight: float | None  # T20: the same for the Manhattan distance, prototypes along the axes
    unlabelled_cosine: float | None  # T19: of a lone unlabelled embedding to every prototype
    class_cosine: float | None  # T8, T18: between two classes at the given weight
    effective_rank: float | None  # T8, T18: at the given weight, small steps
    rank_at_large_rates: float | None  # T16: at the given weight and ten times mu_c, from near a point
    reasons: dict[str, str]  # field name -> why it is None


def prototype_weights(
    setting: Setting,
    *,
    classes: int,
    prototypes: Prototypes = "orthonormal",
    weight: float | None = None,
    labelled: float = 1.0,
) -> PrototypeWeights:
    """The critical weights of a setting with prototypes, and what a weight comes to (T8, T9, T16, T18 to T20).

    labelled: share of the samples that have a label, in (0, 1]. Below 1 only a lone unlabelled embedding is solved.

    Valid for: the merged loss, sum reduction, one temperature, samples a multiple of the classes. Symmetric or detached
    keys; for the latter the Euclidean weight is halved too.
    Errors: ValueError outside, and where so many prototypes do not fit.
    """
    K = whole_number("classes", classes, low=2)
    one_of("prototypes", prototypes, get_args(Prototypes))
    for name, needed in (("loss", "merged"), ("reduction", "sum")):
        if getattr(setting, name) != needed:
            raise ValueError(f"{name} must be {needed} with classes, got {getattr(setting, name)!r}; see T8")
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    n, d, tau = setting.samples, setting.dimension, setting.temperature
    most = d + 1 if prototypes == "simplex" else d
    if most < K:
        raise ValueError(
            f"classes must be <= {most} for {prototypes} prototypes in {d} dimensions, got {K}; raise the dimension"
        )
    if n % K:
        raise ValueError(f"samples must be a multiple of classes = {K}, got {n}; the theory has balanced classes")
    if not 0 < labelled <= 1:
        raise ValueError(f"labelled must be in (0, 1], got {labelled!r}; it is a share")
    cosine = {"orthonormal": 0.0, "etf": authors_etf_cosine(d), "simplex": -1 / (K - 1)}[prototypes]
    per_class = n // K
    halved = 2 if setting.keys == "detached" else 1
    answers: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    critical = equiangular_critical_weight(
        prototype_cosine=cosine, classes=K, per_class=per_class, temperature=tau, dimension=d, keys=setting.keys
    )
    answers["point_weight"] = critical
    euclidean = euclidean_critical_weight(classes=K, per_class=per_class, temperature=tau, prototype_cosine=cosine)
    answers["euclidean_weight"] = euclidean / halved
    if cosine == 0:
        manhattan = manhattan_critical_weight(np.eye(K, d), per_class=per_class, temperature=tau)
        answers["manhattan_weight"] = manhattan / halved
    else:
        reasons["manhattan_weight"] = "it depends on how these prototypes are turned; see manhattan_critical_weight"
    if cosine <= -1 / (K - 1):  # etf too, for K = d
        reasons["unlabelled_cosine"] = "no direction leads away from all corners of a simplex"
    else:
        answers["unlabelled_cosine"] = lone_unlabelled_cosine(classes=K, prototype_cosine=cosine)
    if weight is None:
        reasons |= dict.fromkeys(("class_cosine", "effective_rank", "rank_at_large_rates"), "no weight was given")
    else:
        state = equiangular_equilibrium(
            weight, prototype_cosine=cosine, classes=K, per_class=per_class, temperature=tau, dimension=d,
            keys=setting.keys, allow_unstable=True,
        )  # fmt: skip
        if state.is_equilibrium:
            answers |= {"class_cosine": state.cosine, "effective_rank": state.effective_rank}
        else:
            spread = f"the weight is below point_weight = {critical:.6g}: the classes keep internal spread"
            reasons |= dict.fromkeys(("class_cosine", "effective_rank"), spread)
        try:
            rate = LARGE * float(exact_rate(setting))
            if cosine != 0:
                raise ValueError("T16 has orthonormal prototypes")
            answers["rank_at_large_rates"] = weak_effective_rank(weight, rate, setting, classes=K)
        except ValueError as why:
            reasons["rank_at_large_rates"] = str(why)
    names = [field.name for field in fields(PrototypeWeights) if field.name not in ("prototype_cosine", "reasons")]
    if labelled < 1:
        for name in set(names) - {"unlabelled_cosine"}:
            answers.pop(name, None)
            reasons[name] = "unlabelled samples pull and push too: only a lone one is solved (T19)"
    return PrototypeWeights(prototype_cosine=cosine, **{name: answers.get(name) for name in names}, reasons=reasons)


def derive() -> "Derivation":
    """Nothing new is proved here: every field is held against the function of its theorem, for every kind of frame."""
    from functools import partial
    from itertools import product

    from clopsim.bounds.derivation import Agreement, Derivation, Step
    from clopsim.bounds.setting import Keys

    def in_place(setting: Setting, expected: dict[str, float | None], given: dict[str, Any]) -> float:
        found = prototype_weights(setting, **given)
        return float(
            sum(
                value == getattr(found, name) and (name in found.reasons) == (value is None)
                for name, value in expected.items()
            )
        )

    def agreement(
        setting: Setting, classes: int, name: Prototypes, weight: float | None, labelled: float
    ) -> "Agreement":
        d, halves = setting.dimension, 2 if setting.keys == "detached" else 1
        cosine = {"orthonormal": 0.0, "etf": authors_etf_cosine(d), "simplex": -1 / (classes - 1)}[name]
        shape: dict[str, Any] = {
            "classes": classes, "per_class": setting.samples // classes, "temperature": setting.tau
        }  # fmt: skip
        frame = shape | {"prototype_cosine": cosine, "dimension": d, "keys": setting.keys}
        expected: dict[str, float | None] = dict.fromkeys(
            ("point_weight", "euclidean_weight", "manhattan_weight", "unlabelled_cosine",
             "class_cosine", "effective_rank", "rank_at_large_rates")
        )  # fmt: skip
        simplex = name == "simplex" or (name == "etf" and classes == d)
        if not simplex:
            expected["unlabelled_cosine"] = lone_unlabelled_cosine(classes=classes, prototype_cosine=cosine)
        if labelled == 1:
            point = equiangular_critical_weight(**frame)
            expected["point_weight"] = point
            expected["euclidean_weight"] = euclidean_critical_weight(**shape, prototype_cosine=cosine) / halves
            if name == "orthonormal":
                manhattan = manhattan_critical_weight(
                    np.eye(classes, d), per_class=shape["per_class"], temperature=shape["temperature"]
                )
                expected["manhattan_weight"] = manhattan / halves
            if weight is not None and weight > point:
                state = equiangular_equilibrium(weight, **frame)
                expected |= {"class_cosine": state.cosine, "effective_rank": state.effective_rank}
            if weight is not None and weight < 1 and name == "orthonormal" and classes < d:
                rate = 10 * float(exact_rate(setting))
                expected["rank_at_large_rates"] = weak_effective_rank(weight, rate, setting, classes=classes)
        given = {"classes": classes, "prototypes": name, "weight": weight, "labelled": labelled}
        expected["prototype_cosine"] = cosine
        return Agreement(partial(in_place, setting, expected, given), float(len(expected)))

    agreements = {}
    for keys, (d, n, K), name in product(
        get_args(Keys), ((8, 32, 4), (5, 16, 4), (4, 16, 4), (8, 18, 9)), get_args(Prototypes)
    ):
        if d < K and name != "simplex":
            continue
        for weight, labelled in product((None, 0.1, 40.0), (1.0, 0.5)):
            where = f"K = {K}, n = {n}, d = {d}, {keys} keys, {name}, weight {weight}, {labelled:g} labelled"
            agreements[f"fields in place: {where}"] = agreement(
                Setting(0.5, d, n, keys=keys), K, name, weight, labelled
            )
    return Derivation(
        theorem="the record of the prototype weights",
        statement="The record that `clopsim bounds --classes` prints has every theorem's number in its place.",
        steps=(Step("Each field, for every kind of frame, is compared with the function of its theorem."),),
        agreements=agreements,
    )
