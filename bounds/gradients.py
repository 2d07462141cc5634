"""T0: the closed-form gradients that the simulator uses are the derivatives of the losses."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def _closed_form(z: "sp.Matrix", E: "sp.Matrix", tau: "sp.Symbol", *, full: bool, detached: bool) -> "sp.Matrix":
    """Claimed gradient of the sum loss in z, with E_ia = exp(z_i.z_a/tau); clopsim.sphere.gradient has it."""
    import sympy as sp

    n = z.rows
    P = sp.Matrix(n, n, lambda i, a: 0 if i == a else E[i, a] / sum(E[i, b] for b in range(n) if b != i))
    g = P * z if detached else (P + P.T) * z
    if full:
        other = sp.Matrix(n, z.cols, lambda i, k: z[(i + n // 2) % n, k])
        g = g - (1 if detached else 2) * other
    return g / tau


def _prototype_gradients(z: "sp.Matrix", c: "sp.Matrix") -> "dict[str, sp.Matrix]":
    """Claimed gradient of the prototype term of one row, weight 1, in its three distances."""
    import sympy as sp

    return {
        "cosine": -c,
        "euclidean": (z - c) / sp.sqrt((z - c).dot(z - c)),
        "manhattan": (z - c).applyfunc(sp.sign),
    }


def derive() -> "Derivation":
    """Derivatives of the losses along a generic direction W, against <W, closed form>."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    t = sp.symbols("t", real=True)
    tau = sp.symbols("tau", positive=True)
    zeros, formulas, shown = {}, {}, {}
    for full, n in ((False, 3), (True, 4)):
        z, w = (sp.Matrix(n, 2, sp.symbols(f"{name}1:{n + 1}_1:3", real=True)) for name in "zw")
        E = sp.Matrix(n, n, lambda i, a: sp.Symbol(f"E{min(i, a)}{max(i, a)}", positive=True))
        for detached in (False, True):
            moved = z + t * w
            keys = z if detached else moved
            s = moved * keys.T / tau
            loss = sum(
                sp.log(sum(sp.exp(s[i, a]) for a in range(n) if a != i)) - (s[i, (i + n // 2) % n] if full else 0)
                for i in range(n)
            )
            slope = loss.diff(t).subs(t, 0)
            slope = slope.subs({sp.exp((z * z.T / tau)[i, a]): E[i, a] for i in range(n) for a in range(i)})
            g = _closed_form(z, E, tau, full=full, detached=detached)
            name = f"{'full' if full else 'merged'}, {'detached' if detached else 'symmetric'} keys"
            shown[name] = g[0, 0]
            zeros[name] = sp.expand(slope) - sp.expand(sum(a * b for a, b in zip(w, g, strict=True)))
            formulas[name] = sum(a * b for a, b in zip(w, g, strict=True)).subs(
                {E[i, a]: sp.exp((z * z.T / tau)[i, a]) for i in range(n) for a in range(i)}
            )
    u, v, a, c = (sp.Matrix(sp.symbols(f"{name}1:4", real=True)) for name in "uvac")
    length = sp.sqrt(u.dot(u))
    line = u + t * v
    turned = (line / sp.sqrt(line.dot(line))).diff(t).subs(t, 0)
    unit = u / length
    zeros["normalisation projects"] = a.dot(turned) - (a.dot(v) - a.dot(unit) * unit.dot(v)) / length
    moved = u + t * v - c
    distances = {
        "cosine": 1 - (u + t * v).dot(c),
        "euclidean": sp.sqrt(moved.dot(moved)),
        "manhattan": sum(sp.Abs(entry) for entry in moved),
    }
    prototype = _prototype_gradients(u, c)
    for name, distance in distances.items():
        claim = v.dot(prototype[name])
        zeros[f"prototype term, {name}"] = distance.diff(t).subs(t, 0) - claim
        formulas[f"prototype term, {name}"] = claim
    return Derivation(
        theorem="T0",
        statement="The closed forms are the Euclidean gradients of the losses; the tangent ones are their projections.",
        steps=(
            Step("Move all embeddings along a generic W: Z + tW. The derivative of the loss at t = 0 is <W, G> for"
                 " every W iff G is the gradient. Merged loss, n = 3, d = 2, E_ia = exp(z_i.z_a/tau):",
                 shown["merged, symmetric keys"], "G_11"),
            Step("With the keys held fixed (detached)", shown["merged, detached keys"], "G_11"),
            Step("Full loss, n = 4, views i and i + 2", shown["full, symmetric keys"], "G_11"),
            Step("detached", shown["full, detached keys"], "G_11"),
            Step("Through z = u/|u| a direction v acts as (v - (z.v) z)/|u|: the gradient is projected and divided"
                 " by |u|; at |u| = 1 this is the tangent gradient"),
            Step("The prototype term of one row with weight 1, w/(2|S|) each for the two views in the mean over"
                 " labelled samples: cosine 1 - z.c has gradient -c; euclidean |z - c|",
                 prototype["euclidean"], "grad"),
            Step("manhattan |z - c|_1, where no coordinate agrees", prototype["manhattan"], "grad"),
            Step("The mean reduction divides loss and gradient by n"),
        ),
        zeros=zeros,
        formulas=formulas,
    )  # fmt: skip
