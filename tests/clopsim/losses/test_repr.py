"""A loss that is printed says what it is."""

import copy
import pickle

from clopsim.losses import CLOP, LOSSES, OrthonormalPrototypes, by_name, gathered, info_nce


def test_a_loss_by_name_prints_as_its_call():
    assert repr(by_name("infonce", temperature=0.5)) == "info_nce(temperature=0.5)"
    assert repr(by_name("supcon_in", temperature=0.1)) == "supcon(form='in', temperature=0.1)"
    assert repr(by_name("vicreg", temperature=0.1)) == "vicreg()"  # has none
    for name in LOSSES:
        loss = by_name(name, temperature=0.2)
        assert repr(loss) == repr(copy.deepcopy(loss)) == repr(pickle.loads(pickle.dumps(loss)))


def test_clop_prints_its_base_its_weight_and_its_prototypes():
    prototypes = OrthonormalPrototypes(3, 5)
    assert "base=dcl(temperature=0.1), weight=0.5, distance='cosine'" in repr(
        CLOP(by_name("dcl", temperature=0.1), prototypes, 0.5)
    )
    assert "base=info_nce, weight=1.0" in repr(CLOP(info_nce, prototypes))
    assert "base=gathered(info_nce), weight" in repr(CLOP(gathered(info_nce), prototypes))
    twice = repr(CLOP(CLOP(info_nce, prototypes, 2.0), prototypes))
    assert twice.count("base=") == 1  # the inner one's; the outer base prints itself
    assert "(base): CLOP(" in twice
