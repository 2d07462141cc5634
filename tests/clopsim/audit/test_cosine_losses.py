"""The losses as the experiments write them, against the library's and against loops over anchors."""

import math

import pytest
import torch

from clopsim.audit.experiments.cosine_losses import class_graphs, cosine_loss, with_prototypes
from clopsim.losses import dcl, info_nce, supcon

K, M, TAU = 3, 4, 0.5


@pytest.fixture
def z():
    rows = torch.randn(K * M, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows / rows.norm(dim=-1, keepdim=True)


def loss(name, **numbers):
    return cosine_loss(name, classes=K, per_class=M, temperature=TAU, **numbers)


def test_they_are_those_of_the_library(z):
    first, second = z[::2], z[1::2]  # views are adjacent
    labels = torch.arange(K).repeat_interleave(M // 2)
    options = {"temperature": TAU, "reduction": "sum"}
    torch.testing.assert_close(loss("nt_xent")(z), info_nce(first, second, **options))
    torch.testing.assert_close(loss("dcl")(z), dcl(first, second, **options))
    torch.testing.assert_close(loss("supcon")(z), supcon(first, second, labels, **options))
    torch.testing.assert_close(loss("supcon", inside=True)(z), supcon(first, second, labels, **options, form="in"))


def test_merged_and_sscl_by_loops(z):
    s = (z @ z.mT / TAU).tolist()
    merged = confident = 0.0
    for i in range(K * M):
        total = math.log(sum(math.exp(s[i][a]) for a in range(K * M) if a != i))
        merged += total
        weights = {j: 1.0 if j // 2 == i // 2 else 0.36 for j in range(K * M) if j != i and j // M == i // M}
        confident += total - sum(w * s[i][j] for j, w in weights.items()) / sum(weights.values())
    assert float(loss("merged")(z)) == pytest.approx(merged)
    assert float(loss("sscl", confidence=0.6)(z)) == pytest.approx(confident)


def test_fedrcl_by_loops(z):
    s = (z @ z.mT).tolist()
    total = 0.0
    for i in range(K * M):
        mates = [j for j in range(K * M) if j != i and j // M == i // M]
        others = [j for j in range(K * M) if j // M != i // M]
        for p in mates:
            total += math.log(1 + sum(math.exp((s[i][a] - s[i][p]) / TAU) for a in others)) / (M - 1)
        total += 0.7 * math.log(1 + sum(math.exp((s[i][p] - 1) / TAU) for p in mates))
    assert float(loss("fedrcl", penalty=0.7)(z)) == pytest.approx(total)


def test_blcl_by_loops(z):
    means = [z[k * M : (k + 1) * M].mean(dim=0) for k in range(K)]
    total = 0.0
    for i in range(K * M):
        cosines = [float(z[i] @ mean / mean.norm()) / TAU for mean in means]
        total += math.log(sum(math.exp(c) for c in cosines)) - cosines[i // M]
    assert float(loss("blcl")(z)) == pytest.approx(total)


def test_prototypes_and_graphs(z):
    prototypes = torch.eye(K, 5, dtype=torch.float64).repeat_interleave(M, dim=0)
    added = with_prototypes(loss("merged"), prototypes, 0.3)(z) - loss("merged")(z)
    assert float(added) == pytest.approx(0.3 * sum(1 - float(a @ b) for a, b in zip(z, prototypes, strict=True)))
    mates, views = class_graphs(2, 4)
    assert mates.sum(dim=1).tolist() == [3.0] * 8
    assert views[0].tolist() == [0.0, 1.0] + [0.0] * 6
