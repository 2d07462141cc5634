"""The lab: one self-contained HTML page that runs the simulation live. `assemble` inlines its plain files.

page.html names its style sheet and its scripts like any page, so it also opens as it stands for whoever edits it. The
physics and the thresholds in the scripts are those of `clopsim` and `bounds`; the tests hold the two together.
"""

import base64
import hashlib
import re
from html import escape
from importlib import resources
from urllib.parse import quote

__all__ = ["assemble", "iframe"]


def assemble() -> str:
    """The page as one HTML document that needs nothing else and may request nothing.

    Its content-security policy forbids every request and runs the inlined scripts and style by their hashes only.
    """
    page = _read("page.html")
    style = _read("style.css")
    page = page.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    scripts = {name: _read(name) for name in re.findall(r'<script[^>]* src="([\w.]+)">', page)}
    for name, text in scripts.items():
        if "</script" in text.lower():
            raise ValueError(f"{name} must not contain '</script'; it would end the inlined script")
        page = page.replace(f' src="{name}"></script>', f">{text}</script>")
    policy = "; ".join((
        "default-src 'none'",
        "script-src " + " ".join(map(_hash, scripts.values())),
        "worker-src blob:",  # the map's worker is made of the scripts above
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{meta}')


def iframe(file: str) -> str:
    """The line of HTML that shows the page, a file of that name beside it: spheres, slider and words, no more.

    `?hide=` takes parts away (title, tour, text, charts, map, tools, settings, footer); what follows the # of a link
    copied in the lab are the settings to start from.
    """
    address = quote(file) + "?embed=1#view=pair&x=1&tau=1.3&start=random&speed=4"
    return (
        f'<iframe src="{escape(address)}" '
        'title="clopsim lab: at which learning rate does contrastive learning collapse?" '
        'width="100%" height="720" style="border:0" allow="clipboard-write"></iframe>'
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
