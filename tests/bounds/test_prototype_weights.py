import pytest

from clopsim.bounds import Setting, class_equilibrium, critical_weight, equiangular_critical_weight, prototype_weights

SETTING = Setting(0.5, 8, 32)


def test_it_gathers_the_theorems():
    shape = {"classes": 4, "per_class": 8, "temperature": 0.5, "dimension": 8}
    found = prototype_weights(SETTING, classes=4, weight=8.0)
    state = class_equilibrium(8.0, **shape)
    assert found.point_weight == pytest.approx(critical_weight(**shape), rel=1e-12)
    assert found.class_cosine == pytest.approx(state.cosine, rel=1e-9)
    assert found.effective_rank == pytest.approx(state.effective_rank, rel=1e-9)
    assert found.euclidean_weight == pytest.approx(0.7319, abs=5e-5)
    assert found.unlabelled_cosine == pytest.approx(-0.5)
    assert found.rank_at_large_rates is None
    assert found.reasons["rank_at_large_rates"].startswith("weight must be < 1.7")


def test_each_frame_has_its_cosine_and_weight():
    cosines = {"orthonormal": 0.0, "etf": -1 / 7, "simplex": -1 / 3}
    weights = []
    for name, cosine in cosines.items():
        found = prototype_weights(SETTING, classes=4, prototypes=name)
        assert found.prototype_cosine == cosine
        weights.append(found.point_weight)
        assert found.point_weight == equiangular_critical_weight(
            prototype_cosine=cosine, classes=4, per_class=8, temperature=0.5, dimension=8
        )
        assert found.reasons["effective_rank"] == "no weight was given"
    assert weights == sorted(weights)
    assert prototype_weights(SETTING, classes=4, prototypes="simplex").unlabelled_cosine is None


def test_as_many_as_fit():
    assert prototype_weights(Setting(0.5, 8, 18), classes=9, prototypes="simplex").point_weight > 0
    full = prototype_weights(Setting(0.5, 4, 16), classes=4, prototypes="etf")  # K = d: a simplex after all
    assert full.unlabelled_cosine is None
    assert prototype_weights(Setting(0.5, 5, 16), classes=4, prototypes="etf").unlabelled_cosine < 0
    assert full.point_weight == prototype_weights(Setting(0.5, 4, 16), classes=4, prototypes="simplex").point_weight
    with pytest.raises(ValueError, match="^classes must be <= 9 for simplex prototypes in 8 dimensions, got 10"):
        prototype_weights(Setting(0.5, 8, 20), classes=10, prototypes="simplex")


def test_weak_and_below():
    weak = prototype_weights(SETTING, classes=4, weight=0.1)
    assert weak.rank_at_large_rates == pytest.approx(1.0059, abs=1e-4)
    assert weak.effective_rank is None
    assert weak.reasons["class_cosine"].startswith("the weight is below point_weight = 3.28229: the classes keep")
    etf = prototype_weights(SETTING, classes=4, prototypes="etf", weight=0.1)
    assert etf.reasons["rank_at_large_rates"] == "T16 has orthonormal prototypes"


def test_only_a_lone_unlabelled_sample_is_solved():
    found = prototype_weights(SETTING, classes=4, weight=8.0, labelled=0.5)
    assert found.unlabelled_cosine == pytest.approx(-0.5)
    assert found.point_weight is found.class_cosine is found.rank_at_large_rates is None
    assert set(found.reasons.values()) == {"unlabelled samples pull and push too: only a lone one is solved (T19)"}


def test_detached_keys_need_half():
    both = [prototype_weights(Setting(0.5, 8, 32, keys=keys), classes=4, weight=w)
            for keys, w in (("symmetric", 8.0), ("detached", 4.0))]  # fmt: skip
    assert both[1].point_weight == pytest.approx(both[0].point_weight / 2, rel=1e-12)
    assert both[1].euclidean_weight == pytest.approx(both[0].euclidean_weight / 2, rel=1e-12)
    assert both[1].class_cosine == pytest.approx(both[0].class_cosine, rel=1e-9)


@pytest.mark.parametrize(
    "setting, change, message",
    [
        (Setting(0.5, 8, 32, "full"), {}, "^loss must be merged with classes, got 'full'"),
        (Setting(0.5, 8, 32, reduction="mean"), {}, "^reduction must be sum with classes, got 'mean'"),
        (Setting((0.5, 1.0), 8, 32), {}, "^temperature must be one number here"),
        (SETTING, {"classes": 5}, "^samples must be a multiple of classes = 5, got 32"),
        (SETTING, {"classes": 10}, "^classes must be <= 8 for orthonormal"),  # no number of samples would help
        (SETTING, {"classes": 16}, "^classes must be <= 8 for orthonormal prototypes in 8 dimensions, got 16"),
        (
            SETTING,
            {"classes": 16, "prototypes": "etf"},
            "^classes must be <= 8 for etf prototypes in 8 dimensions, got 16",
        ),
        (SETTING, {"classes": 1}, "^classes must be a whole number >= 2, got 1"),
        (SETTING, {"prototypes": "random"}, "^prototypes must be one of orthonormal, etf, simplex, got 'random'"),
        (SETTING, {"weight": -1.0}, "^weight must be a finite number > 0, got -1"),
    ],
)
def test_wrong_input(setting, change, message):
    with pytest.raises(ValueError, match=message):
        prototype_weights(setting, **{"classes": 4} | change)
