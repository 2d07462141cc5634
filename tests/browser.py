"""The Chromium of the system for tests that drive a page, and what axe-core finds on it."""

import shutil
from typing import Any

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
RULES = {"target-size": {"enabled": True}}  # of WCAG 2.2; the others, AA and best practice, are on from the start


def violations(page: Any, **context: Any) -> list[str]:
    """What of a page breaks a rule of WCAG 2 A or AA or of axe-core's best practice: the rule, the element and why.

    context: the parts of the page to look at, as axe.run takes them; all of it without.
    """
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context or None, {"resultTypes": ["violations"], "rules": RULES}).response
    assert found["passes"], "axe-core has looked at nothing"
    return [
        f"{rule['id']}: {node['target'][0]}: {' '.join(node['failureSummary'].split())}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
