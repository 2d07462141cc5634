"""Names of others as they can be shown: in a terminal, in a picture."""


def printable(text: str) -> str:
    """The text with control characters spelt out: a name can neither break a table nor command a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def drawable(text: str) -> str:
    """The text as matplotlib draws it letter by letter: a dollar begins no formula."""
    return printable(text).replace("$", r"\$")
