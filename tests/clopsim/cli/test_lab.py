"""`clopsim lab`: writes one page, opens one page, never half a page."""

import webbrowser
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from clopsim.lab import assemble, iframe


@pytest.fixture
def clopsim(clopsim, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail(f"opened {url}"))
    return partial(clopsim, "lab")


def test_out_writes_the_page_and_opens_nothing(clopsim):
    result = clopsim("--out", "page.html")
    assert (result.exit_code, result.stdout) == (0, "page.html\n")
    assert Path("page.html").read_text(encoding="utf-8") == assemble()
    assert [path.name for path in Path().iterdir()] == ["page.html"]


def test_a_file_is_replaced_only_with_force(clopsim):
    Path("page.html").write_text("mine")
    result = clopsim("--out", "page.html")
    assert result.exit_code == 2
    assert result.stderr == "clopsim: --out must not exist, got page.html; add --force to replace it\n"
    assert Path("page.html").read_text() == "mine"
    assert clopsim("--out", "page.html", "--force").exit_code == 0
    assert Path("page.html").read_text(encoding="utf-8") == assemble()


@pytest.mark.parametrize("out, message", [
    (".", "--out must be a file, got the folder .; name a file in it, such as lab.html"),
    ("no/page.html", "--out must lie in an existing folder, got no/page.html; create no first"),
])  # fmt: skip
def test_wrong_places_are_one_plain_line(clopsim, out, message):
    result = clopsim("--out", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"clopsim: {message}\n"
    assert list(Path().iterdir()) == []


def test_a_failed_write_leaves_the_old_page(clopsim, monkeypatch):
    Path("page.html").write_text("mine")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    result = clopsim("--out", "page.html", "--force")
    assert result.exit_code == 2
    assert result.stderr == (
        "clopsim: --out could not be written to page.html: No space left on device; choose another place\n"
    )
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("page.html", "mine")]


@pytest.mark.parametrize("found", (True, False))
def test_without_out_it_opens_a_page_and_prints_where(clopsim, monkeypatch, tmp_path, found):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or found)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = clopsim()
    assert result.exit_code == 0
    path = Path(result.stdout.strip())
    assert unquote(urlparse(opened[0]).path) == str(path)
    assert path.read_text(encoding="utf-8") == assemble()
    assert ("no browser found" in result.stderr) == (not found)


def test_embed_prints_the_line_for_a_page_of_yours(clopsim):
    result = clopsim("--embed")
    assert (result.exit_code, result.stdout) == (0, iframe("lab.html") + "\n")
    assert "clopsim lab --out lab.html" in result.stderr
    assert list(Path().iterdir()) == []
    result = clopsim("--embed", "--out", "a b.html")
    assert (result.exit_code, result.stdout) == (0, iframe("a b.html") + "\n")
    assert 'src="a%20b.html?embed=1#' in result.stdout
    assert Path("a b.html").read_text(encoding="utf-8") == assemble()
    assert clopsim("--embed", "--out", "a b.html").exit_code == 2
