from xml.etree import ElementTree

from clopsim.audit import graph
from clopsim.audit.claim import Claim
from clopsim.audit.ledger import CLAIMS
from clopsim.audit.run import Finding, Proof
from clopsim.bounds.derivation import Derivation, Step


def finding(name: str, *steps: str, rests_on: tuple[str, ...] = (), assumes: str = "none") -> Finding:
    proof = Proof(Derivation(name, "So it is.", tuple(map(Step, steps))), {}, {})
    claim = Claim(name, "It is so & so.", "ours", assumes, "proved", "Indeed.", rests_on=rests_on)
    return Finding(claim, (proof,), (), {}, 0.0)


FINDINGS = [
    finding("T1", "As T3 will say."),
    finding("T2", "Alone."),
    finding("T3", "By T1", "and T99, T3."),
    finding("T3a", "none", assumes="as T3"),
    finding("P1", "T1 is named and not used.", rests_on=("T3",)),
]


def test_a_proof_uses_the_earlier_theorems_that_it_names_and_what_it_rests_on():
    assert graph.uses(FINDINGS) == {"T1": [], "T2": [], "T3": ["T1"], "T3a": ["T3"], "P1": ["T3"]}
    assert graph.used_by(graph.uses(FINDINGS))["T3"] == ["T3a", "P1"]
    assert graph.depths(graph.uses(FINDINGS)) == {"T1": 0, "T2": 0, "T3": 1, "T3a": 2, "P1": 2}


def test_the_drawing_has_a_link_for_each_theorem_that_has_a_neighbour():
    drawn = ElementTree.fromstring(graph.draw(FINDINGS))
    assert [link.get("href") for link in drawn] == ["#T3a", "#T3", "#T1"]
    assert [len(link.findall("path")) for link in drawn] == [1, 1, 0]
    assert drawn[1].findtext("title") == "T3, proved: It is so & so. Uses T1."
    assert graph.draw(FINDINGS[:2]) == ""


def test_boxes_of_the_whole_ledger_do_not_touch(derived):
    ledger = [
        Finding(claim, tuple(Proof(one, {}, {}) for one in derived[claim.identifier]), (), {}, 0.0) for claim in CLAIMS
    ]
    drawn = ElementTree.fromstring(graph.draw(ledger))
    corners = [(int(box.get("x", "")), int(box.get("y", ""))) for box in drawn.iter("rect")]
    assert len(corners) > 20
    for k, (x, y) in enumerate(corners):
        for left, top in corners[:k]:
            assert abs(x - left) >= graph.WIDTH or abs(y - top) >= graph.HEIGHT
    assert max(x for x, _ in corners) + graph.WIDTH < 720
