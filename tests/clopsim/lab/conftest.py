"""The lab in a real browser, loaded from a file."""

import re
import time
from collections.abc import Iterator

import pytest

from clopsim.lab import assemble


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("lab") / "lab.html"
    path.write_text(assemble(), encoding="utf-8")
    return path.as_uri()


class Visit:
    """A page that records what must not happen: console messages, uncaught errors, any request but the file itself."""

    def __init__(self, context, address: str) -> None:
        self.page = context.new_page()
        self.trouble: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                re.split("[?#]", request.url)[0] == address
                or request.url.startswith("blob:null/")  # the map's worker, made by the page
                or self.trouble.append(request.url)
            ),
        )
        self.page.set_default_timeout(20_000)

    def __call__(self, expression: str, *arguments):
        """The value of an expression in the page; with arguments, of a function."""
        return self.page.evaluate(expression, list(arguments) if arguments else None)

    def until(self, condition: str, *, seconds: float = 20) -> None:
        """Wait until a condition holds in the page; playwright's own wait needs the eval that the page forbids."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(20)

    def state(self):
        return self("clopsim.state")


@pytest.fixture
def visit(browser, address) -> Iterator:
    """visit(hash, **context options) opens the lab; the test fails if the page complains or asks for anything."""
    opened = []

    def open_page(hash: str = "", **options) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        here = Visit(context, address)
        opened.append((context, here))
        here.page.goto(address + hash)
        return here

    yield open_page
    for context, here in opened:
        context.close()
        assert here.trouble == []


@pytest.fixture(scope="module")
def lab(browser, address) -> Iterator[Visit]:
    """One page for all the numbers of a module: nothing plays, every test sets what it needs."""
    context = browser.new_context(reduced_motion="reduce")
    here = Visit(context, address)
    here.page.goto(address + "?hide=map#view=one")
    yield here
    context.close()
    assert here.trouble == []
