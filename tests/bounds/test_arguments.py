"""Every public function of bounds takes what it is annotated with, and says in one sentence what is wrong otherwise."""

import inspect
import math
import pickle
import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from clopsim import bounds
from clopsim.bounds import Pattern, PaucSetting, Setting, arguments, class_loss, line_slopes

FUNCTIONS = [name for name in bounds.__all__ if inspect.isfunction(getattr(bounds, name))]

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(8, 3))
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)

GIVEN = {
    "setting": Setting(0.5, 8, 32),
    "temperature": 0.5,
    "dimension": 8,
    "samples": 32,
    "rate": 0.4,
    "mu": 0.4,
    "weight": 1.0,
    "classes": 4,
    "per_class": 6,
    "curvature": 1.5,
    "curvatures": [0.5, 1.5],
    "pull": 0.25,
    "gradient": "tangent",
    "momentum": 0.5,
    "radial": -0.2,
    "reach": 0.1,
    "loss": class_loss("supcon", classes=4, per_class=6, temperature=0.5),
    "name": "supcon",
    "slopes": line_slopes("supcon", classes=4, per_class=6, temperature=0.5),
    "angle": 0.3,
    "cosine": 0.2,
    "concentration": 2.0,
    "degrees": 5,
    "degree": 2,
    "calibration_temperature": 0.3,
    "sizes": (4, 6),
    "clusters": 4,
    "rows": 6,
    "weight_decay": 0.01,
    "squared_norm": 2.0,
    "step": 0.1,
    "theta": 0.4,
    "prototype_cosine": -0.1,
    "class_counts": [4, 6],
    "inputs": 64,
    "data": 64,
    "variance": 0.1,
    "kept": 20,
    "column_sum": 1.2,
    "confidence": 0.6,
    "confident_classes": 3,
    "others": 4,
    "scale": 1.5,
    "smoothing": 0.01,
    "ema": 0.9,
    "mean_length": 0.1,
    "spread": 0.2,
    "sigma": 0.3,
    "penalty": 0.4,
    "olean": 0.2,
    "opposite": 2,
    "x": 0.7,
    "t": 0.6,
    "overlaps": [0.2, 0.3],
    "embeddings": ROWS,
    "gradients": RNG.normal(size=(8, 3)),
    "signs": [1, 1, -1, -1],
    "function": lambda x: x**2 - 2,
    "low": 1.0,
    "high": 2.0,
}
"""A right value of every argument, by its name."""

FULL = {"setting": Setting(0.5, 8, 32, loss="full")}
TANGENT = {"setting": Setting(0.5, 8, 32, loss="full", gradient="tangent")}
STRONG = {"weight": 8.0}
FAR = {"weight": 0.01, "rate": 0.9}
SIGNS = {"setting": Setting(0.5, 8, 4)}
PAUC = {"setting": PaucSetting(4, 2)}
LINEAR = {"first": ROWS[:4], "second": ROWS[4:], "setting": Setting(0.5, 3, 8, gradient="tangent")}

OF_FUNCTION: dict[str, dict[str, object]] = {
    "balance_factor": {"loss": 0.7},
    "sigma_rate": {"loss": 0.7},
    "class_curvatures": {"sizes": [4, 6], "cosines": np.eye(2), "alignments": np.ones(2)},
    "class_equilibrium": STRONG,
    "enclose_class_cosine": STRONG,
    "equiangular_equilibrium": STRONG,
    "rescue_angle": STRONG,
    "collapse_spectrum": {"slopes": 1 - np.eye(4)},
    "contrastive_slopes": {"positives": np.eye(4)[[1, 0, 3, 2]]},
    "positive_weights": {"samples": [0, 0, 1, 1]},
    "ripple_multiplier": {"degrees": 3},
    "energy_off_line": FAR,
    "weak_displacement": FAR,
    "weak_effective_rank": FAR,
    "is_rank_one_minimum": SIGNS,
    "lowest_rank_one_curvature": SIGNS,
    "rank_one_hessian": SIGNS,
    "mean_after_step": {"setting": Setting(0.5, 3, 8)},
    "low_temperature_rate": {"setting": Setting(0.1, 8, 32)},
    "moco_rate": {"setting": Setting(0.5, 8, 32, "full", "tangent", "detached")},
    "manhattan_critical_weight": {"prototypes": np.eye(3)},
    "two_view_step": {"pair": [0.9, 0.3], **TANGENT},
    "unequal_attracting_rates": {"hessian": np.diag([1.0, 2.0]), "pulls": [0.1, 0.2]},
}
"""Where a function needs another one."""

for shared, names in (
    (FULL, "apart_curvature enclose_antipodal_line_rate line_multipliers view_multiplier view_growth_rate"),
    (FULL, "spread_growth view_difference_multiplier"),
    (TANGENT, "effective_rate lars_view_growth steady_squared_norm swap_cosine view_growth"),
    (TANGENT, "fresh_noise_growth fresh_noise_rate linear_uniform_curvature linear_uniform_rate"),
    (LINEAR, "linear_collapse_curvatures linear_collapse_rate"),
    (PAUC, " ".join(name for name in FUNCTIONS if name.startswith("pauc_"))),
):
    OF_FUNCTION |= dict.fromkeys(names.split(), shared)


WRONG = (
    *("x", "0.5", b"x", None, {}, {1: 2}, {1, 2}, object(), lambda x: x, 1j, True, [], [0.5, 0.2], [0.5, [1]], [None]),
    *(math.nan, math.inf, -math.inf, -1, -1.0, 0, 1e300, -1e300, 1e-300, 10**400, 10**5000, Fraction(1, 3)),
    *(np.array(["a"]), np.array(0.5), np.array([math.nan, 1.0]), np.ones((2, 3, 4)), np.ones((0, 3)), np.zeros((3, 0))),
    *(np.full((8, 3), math.nan), np.zeros((8, 3)), np.array([1j]), np.array([None]), np.datetime64("2024")),
    *(torch.tensor(0.5), torch.tensor([0.5, 0.2], requires_grad=True), torch.ones(2, dtype=torch.bfloat16)),
    *(torch.tensor([1j]), torch.tensor(True), torch.empty(2, device="meta"), torch.empty((), device="meta")),
    *(Setting((0.5, 0.2), 8, 32), Setting(0.5, 8, 3), Setting(0.5, 8, 32, momentum=0.9), PaucSetting(4, 2)),
    *(Setting(1e300, 8, 8, "full", "tangent"), Setting((0.5, 0.2), 8, 32, "full", "tangent", "detached", "mean", 0.9)),
)
"""Values of every kind; most are wrong for most arguments."""


def right(name):
    """Right arguments of a function, by name: those that must be given."""
    parameters = inspect.signature(getattr(bounds, name)).parameters.values()
    own = OF_FUNCTION.get(name, {})
    return {each.name: {**GIVEN, **own}[each.name] for each in parameters if each.default is each.empty}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinite numbers, whose answer is nan
def test_anything_is_answered_or_refused_in_a_sentence(name):
    function, given = getattr(bounds, name), right(name)
    for argument in inspect.signature(function).parameters:
        for value in WRONG:
            try:
                function(**{**given, argument: value})
            except ValueError as error:
                message = str(error)
                assert re.fullmatch(r"\w.* must .+, got .+; .+", message), (argument, message)
                assert len(message) < 400, (argument, message)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_word_and_nothing_name_the_argument(name):
    function, given = getattr(bounds, name), right(name)
    for argument, parameter in inspect.signature(function).parameters.items():
        for value in ("x", None) if parameter.default is not None else ("x",):
            with pytest.raises(ValueError, match=rf"^{argument} must .+, got {value!r}; "):
                function(**{**given, argument: value})


def kinds(value):
    """A value as others would give it."""
    if isinstance(value, int | float):
        return np.array(value), np.float64(value) if isinstance(value, float) else np.int64(value), doubles(value)
    if isinstance(value, list | np.ndarray) or type(value) is tuple:  # no record
        rows = np.asarray(value).tolist()
        return rows, tuple(rows), np.asarray(value), doubles(value)
    return ()


def doubles(value):
    return torch.from_numpy(np.array(value))


def plain(answer):
    return vars(answer) if hasattr(answer, "__dataclass_fields__") else answer


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_and_an_array_may_come_in_any_kind(name):
    function, given = getattr(bounds, name), right(name)
    expected = plain(inspect.unwrap(function)(**given))
    np.testing.assert_equal(plain(function(**given)), expected)
    for argument, value in given.items():
        for other in kinds(value):
            np.testing.assert_equal(plain(function(**{**given, argument: other})), expected, err_msg=argument)


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: bounds.adam_rate([0.5]), "curvature must be a number, got [0.5]; give one such as 0.5"),
        (lambda: bounds.adam_rate(True), "curvature must be a number, got True; give one such as 0.5"),
        (lambda: bounds.adam_rate(10**400), "curvature must be a number below 1e308, got 1000"),
        (lambda: bounds.harmonics(2.0, 3), "degree must be a whole number, got 2.0; give one such as 8"),
        (lambda: bounds.harmonics(2, 10**10), "dimension must be a whole number <= 1000000000, got 10000000000;"),
        (lambda: bounds.collapse_rate(0.5), "setting must be a clopsim.bounds.Setting, got 0.5; build one: Setting("),
        (lambda: bounds.collapse_rate(np.ones((2, 3))), "setting must be a clopsim.bounds.Setting, got an array of"),
        (lambda: bounds.spread_rate(classes=4, temperature=0.5, learned="no"), "learned must be True or False, got"),
        (lambda: bounds.simo_collapse(4, rows=2, form=["pair"]), "form must be one of pair, ratio, got ['pair'];"),
        (lambda: bounds.tangent_rate({}, pull=1), "mu must be a number or an array of numbers, got {}; give one"),
        (lambda: bounds.rank_one_gradient_floor(1.0, 5), "class_counts must be a list, got 5; give one such as [4, 5]"),
        (lambda: bounds.rank_one_gradient_floor(1.0, [4, "x"]), "class_counts[1] must be a whole number, got 'x'; "),
        (lambda: bounds.pair_weight(0.3, sizes=[4], temperature=0.5), "sizes must be a list of 2 values, got [4]; "),
        (lambda: bounds.collapse_spectrum([[0, 1], [1]], dimension=3), "slopes must be an array of numbers, got ["),
        (lambda: bounds.enclose_root(5, 0, 1), "function must be a function, got 5; give one such as lambda x:"),
        (lambda: bounds.enclose_root(lambda x: "x", 0, 1), "function must return a flint.arb, got 'x'; compute with"),
        (lambda: bounds.lorac_swap(samples=8, beta=1e300), "beta must be nearer to 1, got 1e+300; the formula leaves"),
        (lambda: bounds.Setting(0.5, 3, 8, loss=np.ones(2)), "loss must be one of merged, full, got [1.0, 1.0]; "),
        (lambda: bounds.Setting(1j, 3, 8), "temperature must be a finite number > 0, got 1j; "),
        (lambda: bounds.Setting(10**400, 3, 8), "temperature must be a finite number > 0, got 1000"),
        (lambda: bounds.PaucSetting("4", 2), "classes must be a whole number, got '4'; "),
        (lambda: bounds.ClassLoss(4, 2, 0.5, 0.5, 1.0, [5]), "patterns[0] must be a clopsim.bounds.Pattern, got 5; "),
        (
            lambda: bounds.ClassLoss(4, 2, 0.5, 0.5, 1.0, [Pattern("spread", "x", 0.0, 1)]),
            "patterns[0].neighbours must be a number, got 'x'; ",
        ),
        (
            lambda: bounds.line_state(GIVEN["slopes"]._replace(far=None), classes=4, per_class=6),
            "slopes.far must be a number, got None; ",
        ),
    ),
)  # fmt: skip
def test_the_sentences(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_a_setting_and_a_loss_take_what_functions_take():
    several = Setting(torch.tensor([0.5, 0.25]), np.int64(3), torch.tensor(8), momentum=np.array(0.5))
    assert several == Setting((0.5, 0.25), 3, 8, momentum=0.5)
    assert Setting(torch.tensor(0.5), 3, 8).temperature == 0.5
    own = bounds.ClassLoss(4, np.int64(2), torch.tensor(0.5), 0.5, 1, [Pattern("spread", -1.0, -1.0, 1)])
    assert own == bounds.ClassLoss(4, 2, 0.5, 0.5, 1, (Pattern("spread", -1.0, -1.0, 1),))


def test_a_fraction_gives_one_and_an_array_may_have_gaps():
    assert bounds.critical_rate(Fraction(1, 3), pull=Fraction(0), gradient="tangent") == Fraction(6)
    np.testing.assert_equal(bounds.tangent_rate([math.nan, 0.5], pull=1), [math.nan, 1.0])


@pytest.mark.parametrize("name, text", arguments.RECORDS.items())
def test_the_example_of_a_record_makes_one(name, text):
    kind = Pattern if name == "Pattern" else getattr(bounds, name)
    assert isinstance(eval(text, vars(bounds)), kind)


def test_every_annotation_has_a_fit():
    for name in FUNCTIONS:
        for parameter in inspect.signature(getattr(bounds, name)).parameters.values():
            fit = arguments.fit_of(parameter.annotation)
            assert getattr(fit, "keywords", {}).get("kind", Setting).__name__ in arguments.RECORDS, (name, parameter)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_at_the_door_is_still_itself(name):
    function = getattr(bounds, name)
    inside = inspect.unwrap(function)
    assert inside is not function
    assert pickle.loads(pickle.dumps(function)) is function
    assert (function.__doc__, inspect.signature(function)) == (inside.__doc__, inspect.signature(inside))


def test_other_mistakes_stay_those_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'curve'"):
        bounds.adam_rate(curve=1.0)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        bounds.adam_rate(1.0, "x")


def test_an_overflow_of_moderate_numbers_is_not_blamed_on_them():
    def broken(x: float) -> float:
        return x / 0

    with pytest.raises(ZeroDivisionError):
        arguments.at_the_door(broken)(0.5)
