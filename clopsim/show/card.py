"""How the card of a loss looks: one page of text, one picture. Both are made from its document."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clopsim.show.page import filled, table

KINDS = {
    "minimum": "a minimum", "maximum": "a maximum", "saddle": "a saddle", "flat": "flat in every direction",
}  # fmt: skip


def card_report(card: Mapping[str, Any]) -> str:
    """The page; card as made by cards.card.Portrait.document."""
    parts = [_filled(f"{_answer(card)} {_verdict(card)}"), _filled(*_what(card)), _filled(*_sees(card))]
    for state in card["states"]:
        if state["same_as"]:
            parts.append(_filled(f"{state['title'].upper()}: the state above, {state['same_as']}."))
            continue
        rates = [rate for rate in card["rates"] if rate["state"] == state["name"]]
        parts.append("\n".join(filter(None, (_filled(_state(state, rates)), _rates(state, rates)))))
    parts += [_runs(card["runs"]), _filled(_prototypes(card))]
    return "\n\n".join(parts)


def _filled(*sentences: str) -> str:
    return "\n".join(filled(sentence) for sentence in sentences)


def _what(card: Mapping[str, Any]) -> list[str]:
    formula = f": {card['formula']}" if card["formula"] else ""
    rows = f"n = {card['rows']} rows"
    if card["views"]:
        rows += f", two views of {card['rows'] // 2} samples"
    classes = f", {card['classes']} classes" if card["classes"] else ""
    tau = f"tau = {card['temperature']:g}, " if card["temperature"] is not None else ""
    form = card["form_in_words"]
    if card["reads_own_cosine"]:
        form += " It reads the diagonal of the matrix, which is 1 on the sphere: putting the 1 there would change every"
        form += " ambient rate."
    noise = "It has noise of its own; here the noise is drawn from one seed at every call."
    told = [
        f"{card['loss']}{formula}",
        f"{tau}{rows}{classes}, d = {card['dimension']}. Rates are for the reduction as given: {card['reduction']}.",
        form,
    ]
    return [*told, noise] if card["noise"] else told


def _sees(card: Mapping[str, Any]) -> list[str]:
    if card["cosines_only"]:
        first = "It sees cosines only: turning all rows together leaves its value."
    else:
        first = (
            f"It sees more than cosines: turning all rows together moves its value by {card['turned']:.2g} of itself, "
            "so it need not be stationary at points and lines, and its states are looked at in one random position."
        )
    yes = [f"{each['at']} ({_small(each['residual'])})" for each in card["stationary"] if each["stationary"]]
    no = [f"{each['at']} ({_small(each['residual'])})" for each in card["stationary"] if not each["stationary"]]
    told = f"{first} Stationary at {_listed(yes)}" if yes else f"{first} Stationary at none of the places tried"
    told += f"; not at {_listed(no)}." if no else "."
    steps = "ambient and tangent steps" if card["form"] != "normalised" else "tangent steps"
    return [
        f"{told} In brackets: what is left of the gradient, in units of that at random rows.",
        "",
        f"At every state: a curvature, how many directions have it, the learning rates at which {steps} shrink them, "
        "and their factor a step at 0.97 and 1.03 of that rate, predicted and seen.",
    ]


def _small(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "not finite"
    return "0" if value == 0 else f"{value:.1g}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _state(state: Mapping[str, Any], rates: Sequence[Mapping[str, Any]]) -> str:
    title = state["title"].upper()
    if state["trouble"]:
        return f"{title}: {state['trouble']}"
    low, high = state["pulls"]
    pull = f"pull {low:.6g}" if state["pull"] is not None else f"pulls {low:.4g} to {high:.4g}, unequal"
    if set(state["attracts"]) == {"tangent"}:
        pull = "no radial part"
    words = f"{title}: loss {state['loss']:.6g}, effective rank {state['effective_rank']:.4g}, {pull}; "
    words += f"{KINDS[state['kind']]}, {_attraction(state)}."
    if state["pull"] is None and "ambient" in state["attracts"] and state["kind"] != "saddle":
        words += " With unequal pulls levels mix in an ambient step, and the state as a whole has a rate: 2 over an"
        words += " end of the spectrum of H + 2A, H the curvatures and A the pulls (T27a)."
    if state["flat"]:
        many = "1 direction" if state["flat"] == 1 else f"{state['flat']} directions"
        words += f" Beside turns of the whole, flat along {many}: nothing is decided there."
    hidden = len(state["levels"]) - len({level["curvature"] for level in state["levels"]} & _curvatures(state, rates))
    if hidden > 0:
        words += f" Of {len(state['levels'])} levels the outermost:"
    return words


def _curvatures(state: Mapping[str, Any], rates: Sequence[Mapping[str, Any]]) -> set[float]:
    return {0.0} | {rate["curvature"] for rate in rates if rate["curvature"] is not None}


def _attraction(state: Mapping[str, Any]) -> str:
    """Between which rates a state attracts, in words."""
    if state["kind"] == "saddle":
        return "which attracts at no rate, under any step"
    if state["kind"] == "flat":
        return "so no rate is critical"
    told = {gradient: _range(found) for gradient, found in state["attracts"].items()}
    if len(set(told.values())) == 1:
        steps = "under either step" if len(told) == 2 else "under tangent steps"
        return f"attracts {next(iter(told.values()))} {steps}"
    return "attracts " + ", ".join(f"{words} ({gradient})" for gradient, words in told.items())


def _range(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "at no rate"
    if found["below"] is not None and math.isfinite(found["below"]):
        return f"below {found['below']:.6g}"
    return f"above {found['above']:.6g}" if found["above"] else "at every rate"


SEEN = ("0.97 x", "seen", "1.03 x", "seen")


def _rates(state: Mapping[str, Any], rates: Sequence[Mapping[str, Any]]) -> str:
    """The levels of a state, one a line, with the rate of either step and the factors on both sides of it.

    Where there is an ambient step the factors are its own: the tangent ones are predicted 0.94 and 1.06 at every rate.
    """
    ambient, tangent = (
        {rate["curvature"]: rate for rate in rates if rate["gradient"] == gradient}
        for gradient in ("ambient", "tangent")
    )
    rows = []
    for curvature in dict.fromkeys(rate["curvature"] for rate in rates):
        one, other = ambient.get(curvature), tangent.get(curvature)
        leading = one or other or {}
        level = "the whole" if curvature is None else f"{curvature:.5g}"
        seen = [f"{check[what]:.4g}" for check in leading["checks"] for what in ("predicted", "observed")]
        seen += [""] * (4 - len(seen))
        stable = ["-" if each is None else _stable(state, each) for each in (one, other)]
        rows.append((level, str(leading["multiplicity"]), *(stable[:1] if ambient else []), *seen, stable[1]))
    if not rows:
        return ""
    if ambient:
        return table(("curvature", "times", "ambient", *SEEN, "tangent"), rows)
    return table(("curvature", "times", *SEEN, "stable"), rows)


def _stable(state: Mapping[str, Any], rate: Mapping[str, Any]) -> str:
    """On which side of its rate a level is stable, in two words."""
    if rate["rate"] is not None:
        return f"{'<' if rate['side'] == 'below' else '>'} {rate['rate']:.6g}"
    return "always" if (rate["curvature"] or 0) > 0 or state["kind"] == "minimum" else "never"


def _runs(runs: Mapping[str, Any]) -> str:
    told = (
        f"WHERE RUNS END: effective rank after {runs['steps']} steps, from near collapse and from random rows. Rates "
        f"in units of {runs['unit']:.6g}: {runs['unit_of']}."
    )
    multiples = [f"{multiple:g}" for multiple in runs["multiples"]]
    rows = [
        (
            end["gradient"],
            end["start"].removeprefix("near "),
            *("-" if _lost(rank) else f"{rank:.2f}" for rank in end["effective_rank"]),
        )
        for end in runs["ends"]
    ]
    return _filled(told) + "\n" + table(("step", "start", *multiples), rows)


def _lost(rank: float | None) -> bool:
    return rank is None or math.isnan(rank)


def _prototypes(card: Mapping[str, Any]) -> str:
    found = card["prototypes"]
    words = "ORTHONORMAL PROTOTYPES, weight as in clopsim.CLOP (a mean over the rows): "
    if found["why"]:
        return f"{words}no critical weight, because {found['why']}."
    one, two = found["lambda_star"], found["lambda_infinity"]
    if one == 0:
        words += "every class rests on one point without them (lambda* = 0)"
    else:
        words += f"every class rests on one point above lambda* = {one:.6g}, and not below"
    if two is None:
        pass
    elif two <= one:
        words += f"; then under ambient steps at every rate (lambda_infinity = {two:.6g}, the smaller)"
    else:
        words += f"; under ambient steps at every rate above lambda_infinity = {two:.6g}"
    return f"{words}. Tangent steps hold the class points below a rate of {2 * card['rows']}/lambda at the most."


def _answer(card: Mapping[str, Any]) -> str:
    """Where complete collapse attracts, in a sentence."""
    state = next(each for each in card["states"] if each["name"] == "collapse")
    if state["trouble"]:
        return f"Complete collapse: {state['trouble']}"
    flat = "is flat in every direction, " if state["kind"] == "flat" else ""
    return f"Complete collapse {flat}{_attraction(state).removeprefix('which ')}."


def _verdict(card: Mapping[str, Any]) -> str:
    done = [rate for rate in card["rates"] if rate["checks"]]
    wrong = [rate for rate in done if not rate["holds"]]
    if not done:
        return "No rate was there to be simulated."
    how = (
        "simulated at 0.97 and 1.03 of each, up to twelve steps from a deviation of 1e-6 (a tangent step's factors are "
        "0.94 and 1.06 at all of them)"
    )
    counted = "1 critical rate" if len(done) == 1 else f"{len(done)} critical rates"
    if not wrong:
        return f"{counted} {how}: every one is where it was predicted."
    where = ", ".join(f"{rate['state']} ({rate['gradient']}, {rate['rate']:.6g})" for rate in wrong)
    return f"{len(wrong)} of {counted} NOT where predicted: {where}; {how}."
