import math
from typing import get_args

import pytest

from clopsim.training.recipe import Embedder, LossName, Training, spelt_out


def test_the_embedder_record_is_part_of_the_recipe():
    recipe = Training(embedder="conv", dimension=5, depth=3, width=7, batch_norm=False)
    assert recipe.network == Embedder("conv", 5, 3, 7, False)
    assert Training().network == Embedder()


def test_schedules():
    assert [Training(rate=2.0, schedule="constant").rate_at(t) for t in (0, 999)] == [2, 2]
    cosine = Training(rate=2.0, schedule="cosine", steps=100)
    assert cosine.rate_at(0) == 2
    assert cosine.rate_at(50) == pytest.approx(1)
    assert cosine.rate_at(25) == pytest.approx(1 + math.cos(math.pi / 4))
    assert cosine.rate_at(100) == pytest.approx(0)


def test_the_rate_rises_and_then_follows_its_schedule():
    constant = Training(rate=2.0, schedule="constant", steps=20, warmup=4)
    assert [constant.rate_at(t) for t in range(6)] == [0.5, 1, 1.5, 2, 2, 2]
    cosine = Training(rate=2.0, steps=104, warmup=4)
    assert [cosine.rate_at(t) for t in range(5)] == [0.5, 1, 1.5, 2, 2]
    assert cosine.rate_at(54) == pytest.approx(1)
    assert cosine.rate_at(104) == pytest.approx(0)


@pytest.mark.parametrize("steps, warmup, expected", [(1, 0, 0), (2, 0, 1), (1000, 0, 100), (1000, 7, 7)])
def test_the_schedule_warmup_is_cosine_after_a_tenth_of_the_steps(steps, warmup, expected):
    options = {**Training().to_plain(), "schedule": "warmup", "steps": steps, "warmup": warmup}
    assert Training(**spelt_out(options)) == Training(schedule="cosine", steps=steps, warmup=expected)


@pytest.mark.parametrize("data", ("clusters", "lines", "digits", "openml:CIFAR_10", "some/where.npz"))
def test_sources(data):
    assert Training(data=data).data == data


@pytest.mark.parametrize(
    "fields, rule",
    [
        ({"data": "moons"}, "data must be one of clusters, lines, digits, openml:NAME, FILE.npz, got 'moons'"),
        ({"data": "openml:"}, "data must be one of"),
        ({"samples": -1}, "samples must be a whole number >= 0, got -1"),
        ({"features": 1}, "features must be a whole number >= 2"),
        ({"classes": 0}, "classes must be a whole number >= 1"),
        ({"noise": -0.1}, "noise must be a finite number >= 0, got -0.1; 0 leaves it out"),
        ({"held_out": 1.0}, r"held_out must be in \[0, 1\), got 1.0"),
        ({"labelled": 1.1}, r"labelled must be in \[0, 1\], got 1.1"),
        ({"label_noise": math.nan}, r"label_noise must be in \[0, 1\], got nan"),
        ({"imbalance": 0.5}, "imbalance must be >= 1, got 0.5"),
        ({"imbalance": math.inf}, "imbalance must be a finite number > 0"),
        ({"view_noise": -1.0}, "view_noise must be a finite number >= 0"),
        ({"shift": -1}, "shift must be a whole number >= 0"),
        ({"crop": 0.0}, "crop must be a finite number > 0, got 0.0; it is a share; 1 shows all of the picture"),
        ({"crop": 1.5}, r"crop must be in \[0, 1\], got 1.5"),
        ({"jitter": -0.5}, "jitter must be a finite number >= 0, got -0.5; 0 leaves it out"),
        ({"embedder": "resnet"}, "embedder must be one of table, linear, mlp, conv, resnet18, got 'resnet'"),
        ({"dimension": 1}, "dimension must be a whole number >= 2"),
        ({"depth": 0}, "depth must be a whole number >= 1"),
        ({"width": 0}, "width must be a whole number >= 1"),
        (
            {"loss": "triplet"},
            f"loss must be one of {', '.join(get_args(LossName))}, got 'triplet'",
        ),
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"temperature": 1e-5}, "temperature must be >= 0.0001"),
        ({"prototypes": "etf"}, "prototypes must be one of none, orthonormal, simplex, got 'etf'"),
        ({"weight": -1.0}, "weight must be a finite number >= 0, got -1.0; 0 leaves it out"),
        ({"distance": "chord"}, "distance must be one of cosine, euclidean, manhattan"),
        ({"rate": 0.0}, "rate must be a finite number > 0, got 0.0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0"),
        ({"schedule": "linear"}, "schedule must be one of constant, cosine"),
        ({"optimizer": "adam"}, "optimizer must be one of sgd, lars, adamw, got 'adam'"),
        ({"warmup": -1}, "warmup must be a whole number >= 0, got -1"),
        ({"warmup": 1000}, "warmup must be < steps = 1000, got 1000; 0 leaves it out"),
        ({"batch": 1}, "batch must be 0 or >= 2, got 1"),
        ({"batch": -2}, "batch must be a whole number >= 0"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"save_every": 0}, "save_every must be a whole number >= 1"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"precision": "float16"}, "precision must be one of float64, float32, bfloat16, got 'float16'"),
    ],
)
def test_wrong_fields(fields, rule):
    with pytest.raises(ValueError, match=f"^{rule}"):
        Training(**fields)
