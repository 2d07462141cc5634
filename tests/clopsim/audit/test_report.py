import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clopsim.audit import run
from clopsim.audit.ledger import CLAIMS
from clopsim.audit.report import write_report
from clopsim.audit.words import Made
from clopsim.protocols.ledger import CLAIMS as PROTOCOLS
from tests.browser import violations

MADE = Made("clopsim 1.2.3", "clopsim verify --report audit.html")


@pytest.fixture(scope="module")
def findings():
    return run.audit([claim for claim in CLAIMS if claim.identifier in ("T2", "T4", "T10", "T15", "P2")])


@pytest.fixture(scope="module")
def page(findings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(findings, folder / "audit.HTML", MADE)
    assert [path.name for path in folder.iterdir()] == ["audit.HTML"]
    return (folder / "audit.HTML").read_text()


def test_html_is_one_page_without_a_request(findings, page):
    assert not re.search(r"(?:src|href)=['\"](?!#)|url\((?!#)|@import", page)
    assert "<script" not in page
    assert page.count("<svg role=") == sum(len(one.experiments) for one in findings)
    assert page.count("<div class='formula'") == sum(
        step.formula is not None for one in findings for proof in one.proofs for step in proof.derivation.steps
    )
    for finding in findings:
        for proof in finding.proofs:
            assert len(proof.derivation.steps) >= 3 or not proof.derivation.zeros  # a record proves nothing new


def test_the_papers_come_first_with_their_verdict_and_the_head_says_what_made_it(page):
    head, rest = page.split("<h2 id='papers'>")
    assert "clopsim 1.2.3" in head
    assert "<code>clopsim verify --report audit.html</code>" in head
    assert "<span class='verdict proved'>proved</span> 2" in head
    assert "The evidence supports all 5 recorded verdicts." in head
    row = rest[: rest.index("</tr>", rest.index("<td>"))]
    assert "All-equal and rank-1 embeddings are local minima of InfoNCE." in row
    assert "<span class='verdict refined'>refined</span>" in row
    assert "One is, for N = 2 samples: aligned views, antipodal samples.</td>" in row


def test_every_link_leads_somewhere_and_every_claim_leads_back(findings, page):
    names = re.findall(r" id='([^']*)'", page)
    assert len(names) == len(set(names))
    assert set(re.findall(r"href='#([^']*)'", page)) <= set(names)
    assert page.count("<a href='#contents'>") == len(findings)
    section = page[page.index("<section id='T15'>") :]
    assert "Uses <a href='#T2'>T2</a>. Used by <a href='#P2'>P2</a>." in section[: section.index("</section>")]
    assert page.count("<details") == page.count("</details>")
    assert "<details open" not in page  # many claims: folded


def test_few_claims_are_unfolded(findings, tmp_path):
    write_report(findings[:1], tmp_path / "one.html", MADE)
    assert "<details open><summary>Proof of T2" in (tmp_path / "one.html").read_text()


def test_pictures_say_what_they_show_and_take_the_colours_of_the_page(findings, page):
    labels = re.findall(r"<svg role=\"img\" aria-label=\"([^\"]*)\"", page)
    assert len(set(labels)) == len(labels)
    for label in labels:
        assert re.search(r" over .*: \d+ points, measured .*, beside .*; they agree within ", label)
    picture = page[page.index("<svg role=") :]
    picture = picture[: picture.index("</svg>") + 6]
    ElementTree.fromstring(picture)
    for colour in ("currentColor", "var(--measured)", "var(--predicted)"):
        assert colour in picture
    assert "prefers-color-scheme: dark" in page


def test_markdown_has_formulas_its_figures_and_the_graph(findings, tmp_path):
    write_report(findings, tmp_path / "audit.md", MADE)
    text = (tmp_path / "audit.md").read_text()
    assert "$$" in text
    assert "\n  T15 --> T2\n" in text
    assert "Made by clopsim 1.2.3 with `clopsim verify --report audit.html`." in text
    assert "[P2](#p2) | All-equal" in text
    pictures = sorted(Path(tmp_path / "audit-figures").iterdir())
    assert len(pictures) == sum(len(one.experiments) for one in findings)
    for picture in pictures:
        assert f"(audit-figures/{picture.name})" in text


def test_failures_are_shown(findings, tmp_path):
    bad = run.Finding(findings[0].claim, (), (), {}, 0.0, errors=("RuntimeError: no luck",))
    for name in ("bad.md", "bad.html"):
        write_report([bad], tmp_path / name, MADE)
        text = (tmp_path / name).read_text()
        assert text.count("no luck") == 2  # at the head and at the claim
        assert "no longer supports T2." in text


@pytest.mark.parametrize("claim", [one for one in (*CLAIMS, *PROTOCOLS) if one.identifier.startswith("P")])
def test_what_holds_of_a_claim_is_one_short_sentence(claim):
    assert claim.holds.endswith(".")
    assert 20 < len(claim.holds) <= 125
    assert not claim.statement.startswith(("They ", "The same "))


def test_wrong_places(tmp_path, findings):
    with pytest.raises(ValueError, match=r"^report must end in .md or .html, got '.*audit.pdf'; rename it"):
        write_report(findings, tmp_path / "audit.pdf", MADE)
    (tmp_path / "taken-figures").touch()
    with pytest.raises(ValueError, match="^report needs a folder taken-figures for figures, got a file there"):
        write_report(findings, tmp_path / "taken.md", MADE)
    with pytest.raises(ValueError, match=r"^report must be a file that can be written.*\(File name too long\)"):
        write_report(findings, tmp_path / f"{'a' * 250}.md", MADE)
    with pytest.raises(ValueError, match="^report must be a file in a folder that exists"):
        write_report(findings, tmp_path / "nowhere" / "audit.md", MADE)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1024), ("dark", 390)])
def test_axe_finds_nothing(browser, page, scheme, width):
    shown = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    shown.set_content(page)
    shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert violations(shown) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.close()
