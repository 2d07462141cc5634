from pathlib import Path

import pytest

from clopsim.audit import run
from clopsim.audit.ledger import CLAIMS
from clopsim.audit.report import write_report


@pytest.fixture(scope="module")
def findings():
    return run.audit([claim for claim in CLAIMS if claim.identifier in ("T2", "T4", "T10")])


def test_html_is_one_page_without_a_request(findings, tmp_path):
    write_report(findings, tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["audit.html"]
    assert "src='http" not in text
    assert "<script" not in text
    assert text.count("<math") >= 5
    for finding in findings:
        assert f"<h2 id='{finding.claim.identifier}'>" in text
        assert text.count("data:image/png;base64,") == sum(len(one.experiments) for one in findings)
        for proof in finding.proofs:
            assert len(proof.derivation.steps) >= 3 or not proof.derivation.zeros  # a record proves nothing new


def test_markdown_has_formulas_and_its_figures(findings, tmp_path):
    write_report(findings, tmp_path / "audit.md")
    text = (tmp_path / "audit.md").read_text()
    assert "$$" in text
    pictures = sorted(Path(tmp_path / "audit-figures").iterdir())
    assert len(pictures) == sum(len(one.experiments) for one in findings)
    for picture in pictures:
        assert f"(audit-figures/{picture.name})" in text


def test_failures_are_shown(findings, tmp_path):
    bad = run.Finding(findings[0].claim, (), (), {}, 0.0, errors=("RuntimeError: no luck",))
    for name in ("bad.md", "bad.html"):
        write_report([bad], tmp_path / name)
        assert "Fails" in (tmp_path / name).read_text()
        assert "no luck" in (tmp_path / name).read_text()


def test_wrong_places(tmp_path, findings):
    with pytest.raises(ValueError, match=r"^report must end in .md or .html, got '.*audit.pdf'; rename it"):
        write_report(findings, tmp_path / "audit.pdf")
    (tmp_path / "taken-figures").touch()
    with pytest.raises(ValueError, match="^report needs a folder taken-figures for figures, got a file there"):
        write_report(findings, tmp_path / "taken.md")
    with pytest.raises(ValueError, match=r"^report must be a file that can be written.*\(File name too long\)"):
        write_report(findings, tmp_path / f"{'a' * 250}.md")
    with pytest.raises(ValueError, match="^report must be a file in a folder that exists"):
        write_report(findings, tmp_path / "nowhere" / "audit.md")
