from dataclasses import asdict, fields
from itertools import product

import pytest

from clopsim.bounds import CriticalRates, Setting, critical_rates


def test_every_missing_rate_has_a_reason_and_no_other():
    for loss, gradient, keys, reduction, n in product(
        ("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean"), (2, 32)
    ):
        rates = critical_rates(Setting(0.5, 8, n, loss, gradient, keys, reduction))
        missing = {name for name, value in asdict(rates).items() if value is None}
        assert set(rates.reasons) == missing
        assert all(rates.reasons.values())


def test_the_json_keys_of_the_command():
    assert [field.name for field in fields(CriticalRates)] == [
        "paper_range", "collapse_rate", "uniform_rate", "breaking_degree",
        "alignment_uniform_rate", "alignment_collapse_rate", "antipodal_line_rate",
        "too_small", "reasons",
    ]  # fmt: skip


def test_default_setting_has_the_values_of_the_theory():
    rates = critical_rates(Setting(0.5, 8, 32))
    assert rates.paper_range == (0, 0.5)
    assert rates.collapse_rate == pytest.approx(0.5 * 31 / 30)
    assert rates.uniform_rate == pytest.approx(0.4945, abs=5e-5)  # T13; 0.4125 as n -> infinity
    assert rates.breaking_degree == 1
    assert rates.too_small == ("uniform_rate", "breaking_degree")
    assert critical_rates(Setting(0.5, 8, 200)).too_small == ()


def test_a_batch_too_small_for_any_number_says_so_and_gives_the_limit():
    rates = critical_rates(Setting(0.2, 8, 32))
    assert rates.uniform_rate is rates.breaking_degree is None
    assert rates.reasons["uniform_rate"] == (
        "n too small to tell, below 74.8 (T13); as n -> infinity it breaks at 0.125984"
    )
    views = critical_rates(Setting(0.2, 8, 32, loss="full"))
    assert "they come apart at 0.202245" in views.reasons["alignment_uniform_rate"]
    assert (
        "stay together at every rate"
        in (critical_rates(Setting(0.5, 8, 14, loss="full")).reasons["alignment_uniform_rate"])
    )


def test_the_reasons_with_momentum():
    spinning = critical_rates(Setting(0.5, 8, 200, momentum=0.9))
    assert spinning.reasons["breaking_degree"] == "the points start to spin first"
    for momentum, n, end in ((0.9, 200, "at every rate: momentum is at least A_1"), (0.0, 14, "at every rate")):
        views = critical_rates(Setting(0.5, 8, n, loss="full", momentum=momentum))
        assert views.reasons["alignment_uniform_rate"].endswith(end)


def test_one_temperature_at_a_time():
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        critical_rates(Setting((0.1, 0.5), 8, 32))
