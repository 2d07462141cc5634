"""Slow-loop twins of every loss in plain Python on mpmath numbers, and the golden file that they make at 50 digits.

`python tests/clopsim/losses/golden.py` writes golden.json beside this file: inputs, values and gradients as decimal
strings. Anyone can hold another implementation against it.
"""

import json
import random
from pathlib import Path

from mpmath import mp, mpf

FILE = Path(__file__).with_name("golden.json")
DIGITS = 50
PRINTED, PRINTED_SLOPE = 30, 20  # digits kept
SAMPLES, DIMENSION, CLASSES = 4, 3, 3


def norm(u):
    return mp.sqrt(sum(x * x for x in u))


def unit(u):
    length = norm(u)
    return [x / length for x in u]


def dot(u, v):
    return sum(x * y for x, y in zip(u, v, strict=True))


def contrastive(first, second, temperature, anchor):
    """Mean over the 2N anchors of anchor(cosines / tau of the row, i, j)."""
    z = [unit(u) for u in first + second]
    n = len(z)
    total = mpf(0)
    for i in range(n):
        total += anchor([dot(z[i], z[a]) / temperature for a in range(n)], i, (i + n // 2) % n)
    return total / n


def info_nce(first, second, labels, *, temperature):
    def anchor(s, i, j):
        return -s[j] + mp.log(sum(mp.exp(s[a]) for a in range(len(s)) if a != i))

    return contrastive(first, second, temperature, anchor)


def l_statistic(first, second, labels, *, temperature):
    """The mean over the nine tenths of the anchors with the smallest losses."""
    ranked = sorted(anchors_of(first, second, temperature))
    kept = len(ranked) * 9 // 10
    return sum(ranked[:kept]) / kept


def adversarial(first, second, labels, *, temperature):
    """InfoNCE at rows moved by 0.01 times the gradient of its sum, less 50 |move|^2."""
    z = [unit(u) for u in first + second]
    n, d = len(z), len(z[0])
    weights = [[mp.exp(dot(z[i], z[a]) / temperature) if a != i else mpf(0) for a in range(n)] for i in range(n)]
    moved, price = [], mpf(0)
    for i in range(n):
        pull = [-2 * z[(i + n // 2) % n][k] / temperature for k in range(d)]
        for a in range(n):
            share = weights[i][a] / sum(weights[i]) + weights[a][i] / sum(weights[a])
            pull = [pull[k] + share * z[a][k] / temperature for k in range(d)]
        radial = dot(pull, z[i])
        move = [(pull[k] - radial * z[i][k]) / 100 for k in range(d)]
        price += 50 * dot(move, move)
        moved.append([z[i][k] + move[k] for k in range(d)])
    return (sum(anchors_of(moved[: n // 2], moved[n // 2 :], temperature)) - price) / n


def anchors_of(first, second, temperature):
    """The InfoNCE of every anchor."""
    z = [unit(u) for u in first + second]
    n = len(z)
    s = [[dot(z[i], z[a]) / temperature for a in range(n)] for i in range(n)]
    return [-s[i][(i + n // 2) % n] + mp.log(sum(mp.exp(s[i][a]) for a in range(n) if a != i)) for i in range(n)]


def dcl(first, second, labels, *, temperature):
    def anchor(s, i, j):
        return -s[j] + mp.log(sum(mp.exp(s[a]) for a in range(len(s)) if a not in (i, j)))

    return contrastive(first, second, temperature, anchor)


def clip(first, second, labels, *, temperature):
    image, text = [unit(u) for u in first], [unit(u) for u in second]
    total = mpf(0)
    for anchors, keys in ((image, text), (text, image)):
        for i, z in enumerate(anchors):
            s = [dot(z, key) / temperature for key in keys]
            total += -s[i] + mp.log(sum(mp.exp(one) for one in s))
    return total / (2 * len(image))


def positives(labels, i, j):
    y = labels + labels
    return [p for p in range(len(y)) if p != i and (p == j or (y[p] == y[i] and y[i] != -1))]


def supcon(first, second, labels, *, temperature):
    def anchor(s, i, j):
        denominator = sum(mp.exp(s[a]) for a in range(len(s)) if a != i)
        some = positives(labels, i, j)
        return -sum(mp.log(mp.exp(s[p]) / denominator) for p in some) / len(some)

    return contrastive(first, second, temperature, anchor)


def supcon_in(first, second, labels, *, temperature):
    def anchor(s, i, j):
        denominator = sum(mp.exp(s[a]) for a in range(len(s)) if a != i)
        some = positives(labels, i, j)
        return -mp.log(sum(mp.exp(s[p]) / denominator for p in some) / len(some))

    return contrastive(first, second, temperature, anchor)


def lorac(first, second, labels, *, temperature, beta=15, smoothing=0):
    a, b = [unit(u) for u in first], [unit(u) for u in second]
    cosines = [dot(u, v) for u, v in zip(a, b, strict=True)]
    psi = [c - (mp.sqrt(1 + c + smoothing) + mp.sqrt(1 - c + smoothing)) / beta for c in cosines]

    def anchor(s, i, j):
        positive = psi[i % len(psi)] / temperature
        return -positive + mp.log(mp.exp(positive) + sum(mp.exp(s[a]) for a in range(len(s)) if a not in (i, j)))

    return contrastive(first, second, temperature, anchor)


def pauc(first, second, labels, *, temperature):
    """All weights 1 and t = 2; a class mean must not vanish."""
    classes = sorted({y for y in labels if y >= 0})
    loss, prototypes = info_nce(first, second, labels, temperature=temperature), []
    if not classes:
        return loss
    for view in (first, second):
        z = [unit(u) for u in view]
        members = [[z[i] for i, y in enumerate(labels) if y == k] for k in classes]
        p = [unit([sum(column) for column in columns(rows)]) for rows in members]
        prototypes.append(p)
        labelled = [i for i, y in enumerate(labels) if y >= 0]
        for i in labelled:
            s = [dot(z[i], one) / temperature for one in p]
            loss += (-s[classes.index(labels[i])] + mp.log(sum(mp.exp(x) for x in s))) / (2 * len(labelled))
        pairs = [dot(p[k], p[m]) for k in range(len(p)) for m in range(k + 1, len(p))]
        if pairs:
            loss += mp.log(sum(mp.exp(-2 * (2 - 2 * s)) for s in pairs) / len(pairs)) / 2
            loss += sum(s**2 for s in pairs) / len(pairs) / 2
    for a, b in zip(*prototypes, strict=True):
        loss += sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(classes)
    return loss


def columns(x):
    return [[row[j] for row in x] for j in range(len(x[0]))]


def centred(column):
    mean = sum(column) / len(column)
    return [x - mean for x in column]


def vicreg(first, second, labels):
    n, d = len(first), len(first[0])
    loss = 25 * sum((first[i][j] - second[i][j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    for x in (first, second):
        c = [centred(column) for column in columns(x)]
        for j in range(d):
            loss += mpf(25) / 2 * max(mpf(0), 1 - mp.sqrt(dot(c[j], c[j]) / (n - 1) + mpf("1e-4"))) / d
            for k in range(d):
                if k != j:
                    loss += (dot(c[j], c[k]) / (n - 1)) ** 2 / d
    return loss


def barlow(first, second, labels):
    n, d = len(first), len(first[0])
    x, y = (
        [[v / mp.sqrt(dot(c, c) / n + mpf("1e-5")) for v in c] for c in map(centred, columns(view))]
        for view in (first, second)
    )
    loss = mpf(0)
    for j in range(d):
        for k in range(d):
            correlation = dot(x[j], y[k]) / n
            loss += (correlation - 1) ** 2 if j == k else mpf("0.0051") * correlation**2
    return loss


def classes_of(labels):
    """For every row its class, an unlabelled sample's being its own, and the rows of each class."""
    names = [y if y != -1 else f"sample {i}" for i, y in enumerate(labels)] * 2
    return names, {name: [a for a, other in enumerate(names) if other == name] for name in names}


def blcl(first, second, labels, *, temperature):
    z, y = [unit(u) for u in first + second], labels + labels
    means = {k: unit([sum(z[a][j] for a in range(len(z)) if y[a] == k) for j in range(len(z[0]))]) for k in {*y} - {-1}}
    total, anchors = mpf(0), [i for i in range(len(z)) if y[i] != -1]
    for i in anchors:
        s = {k: dot(z[i], mean) / temperature for k, mean in means.items()}
        total += -s[y[i]] + mp.log(sum(mp.exp(one) for one in s.values()))
    return total / len(anchors)


def fedrcl(first, second, labels, *, temperature):
    names, rows = classes_of(labels)

    def anchor(s, i, j):
        hardest = min(s[p] for p in rows[names[i]] if p != i)
        negatives = sorted((s[a] for a in range(len(s)) if names[a] != names[i]), reverse=True)[:2]
        scl = -hardest + mp.log(sum(mp.exp(one) for one in (hardest, *negatives)))
        t = hardest if hardest * temperature >= mpf("0.7") else -1 / temperature
        return scl + mp.log(1 + mp.exp(t - 1 / temperature))

    return contrastive(first, second, temperature, anchor)


def fedrcl_dense(first, second, labels, *, temperature):
    names, rows = classes_of(labels)

    def anchor(s, i, j):
        positive = [p for p in rows[names[i]] if p != i]
        negative = [a for a in range(len(s)) if names[a] != names[i]]
        scl = sum(mp.log(1 + sum(mp.exp(s[a] - s[p]) for a in negative)) for p in positive) / len(positive)
        return scl + mp.log(1 + sum(mp.exp(s[p] - 1 / temperature) for p in positive))

    return contrastive(first, second, temperature, anchor)


def sscl(first, second, labels, *, temperature):
    q = mpf("0.95")

    def anchor(s, i, j):
        weight = {p: 1 if p == j else q * q for p in positives(labels, i, j)}
        pull = sum(w * s[p] for p, w in weight.items()) / sum(weight.values())
        return -pull + mp.log(sum(mp.exp(s[a]) for a in range(len(s)) if a != i))

    return contrastive(first, second, temperature, anchor)


def of_sets(sets, answer, ratio, eps):
    """SimO's l(E, answer), added up over sets of vectors."""
    total = mpf(0)
    for rows in sets:
        pairs = [(a, b) for i, b in enumerate(rows) for a in rows[:i]]
        d = [sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in pairs]
        o = [dot(a, b) ** 2 for a, b in pairs]
        if ratio:
            total += answer * sum(d) / (eps + sum(o)) + (1 - answer) * sum(o) / (eps + sum(d))
        else:
            total += sum((1 + near / (eps + far)) ** (1 - 2 * answer) for far, near in zip(d, o, strict=True))
    return total


def simo_rows(z, labels, *, ratio, eps, olean):
    classes = {k: [row for row, y in zip(z, labels, strict=True) if y == k] for k in sorted(set(labels)) if k >= 0}
    abreast = [
        [rows[j] for rows in classes.values() if j < len(rows)]
        for j in range(max(map(len, classes.values()), default=0))
    ]
    means = [[sum(column) / len(rows) for column in columns(rows)] for rows in classes.values()]
    return (
        of_sets(classes.values(), 1, ratio, eps)
        + of_sets(abreast, olean, ratio, eps)
        + of_sets([means], olean, ratio, eps)
    )


def simo(first, second, labels):
    one = mpf(1) / 137
    return simo_rows([unit(u) for u in first + second], labels + labels, ratio=False, eps=one, olean=one)


def simo_ratio(first, second, labels):
    return simo_rows([unit(u) for u in first + second], labels + labels, ratio=True, eps=mpf("0.1"), olean=0)


def coding_rate(z, factor):
    """1/2 log det(I + factor Z'Z), in the matrix of the coordinates."""
    d = len(z[0])
    inner = [[(j == k) + factor * sum(row[j] * row[k] for row in z) for k in range(d)] for j in range(d)]
    return mp.log(mp.det(mp.matrix(inner))) / 2


def anti_collapse(first, second, labels):
    z = [unit(u) for u in first + second]
    return mp.exp(-coding_rate(z, mpf(len(z[0])) / (len(z) * mpf("0.5"))))


def anti_collapse_proxies(z, labels, proxies):
    """Of unit rows and unit proxies, at the defaults."""
    n, d, sharpness, margin = len(z), len(z[0]), 64, mpf("0.1")
    known = [i for i in range(n) if labels[i] >= 0]
    align = mpf(0)
    for j in known:
        p = proxies[labels[j]]
        alike = [i for i in known if labels[i] == labels[j]]
        align += mp.log(1 + sum(mp.exp(-sharpness * (dot(z[i], p) - margin)) for i in alike)) / len(known)
    for k, p in enumerate(proxies):
        others = [i for i in known if labels[i] != k]
        align += mp.log(1 + sum(mp.exp(sharpness * (dot(z[i], p) + margin)) for i in others)) / len(proxies)
    present = sorted({labels[i] for i in known})
    rate = coding_rate([proxies[k] for k in present], mpf(len(present)) / (d * mpf("0.5")))
    return align / 100 + mp.exp(-rate)


def unhinged_rows(z, labels, directions, gamma):
    known = [i for i, y in enumerate(labels) if y >= 0]
    total = mpf(0)
    for i in known:
        s = [dot(w, z[i]) for w in directions]
        total += -s[labels[i]] + gamma * sum(s[k] for k in range(len(s)) if k != labels[i])
    return total / max(1, len(known))


def unhinged(first, second, labels):
    d = len(first[0])
    axes = [unit([(j == k) - mpf(1) / d for j in range(d)]) for k in range(d)]
    return unhinged_rows([unit(u) for u in first + second], labels + labels, axes, mpf(1) / (d - 1))


def prototypes_term(first, second, labels, *, prototypes, distance):
    far = {
        "cosine": lambda z, c: 1 - dot(z, c),
        "euclidean": lambda z, c: norm([a - b for a, b in zip(z, c, strict=True)]) / 2,
        "manhattan": lambda z, c: sum(abs(a - b) for a, b in zip(z, c, strict=True)) / 2,
    }[distance]
    labelled = [i for i, y in enumerate(labels) if y != -1]
    if not labelled:
        return mpf(0)
    pulls = [far(unit(view[i]), prototypes[labels[i]]) for i in labelled for view in (first, second)]
    return sum(pulls) / len(pulls)


LOSSES = {
    "infonce": info_nce,
    "supcon": supcon,
    "supcon_in": supcon_in,
    "dcl": dcl,
    "clip": clip,
    "vicreg": vicreg,
    "barlow": barlow,
    "pauc": pauc,
    "lorac": lorac,
    "blcl": blcl,
    "fedrcl": fedrcl,
    "fedrcl_dense": fedrcl_dense,
    "sscl": sscl,
    "lstat": l_statistic,
    "adt": adversarial,
    "simo": simo,
    "simo_ratio": simo_ratio,
    "anti_collapse": anti_collapse,
    "unhinged": unhinged,
    "prototypes": prototypes_term,
}
WITHOUT_TEMPERATURE = ("vicreg", "barlow", "simo", "simo_ratio", "anti_collapse", "unhinged")
CASES = {
    f"{name} tau={tau}": (name, {"temperature": tau})
    for name in LOSSES
    if name not in (*WITHOUT_TEMPERATURE, "prototypes")
    for tau in ("0.01", "0.1", "0.5")
}
CASES |= {name: (name, {}) for name in WITHOUT_TEMPERATURE}
CASES |= {f"prototypes {name}": ("prototypes", {"distance": name}) for name in ("cosine", "euclidean", "manhattan")}


def inputs():
    """Raw embeddings with two decimals, labels with an unlabelled sample and a class of two, a rotation's rows."""
    rng = random.Random(0)
    first, second = ([[f"{rng.gauss(0, 1):.2f}" for _ in range(DIMENSION)] for _ in range(SAMPLES)] for _ in range(2))
    thirds = [["1/3", "2/3", "2/3"], ["2/3", "1/3", "-2/3"], ["2/3", "-2/3", "1/3"]]  # orthonormal, exactly
    return {"first": first, "second": second, "labels": [0, 2, -1, 0], "prototypes": thirds}


def numbers(rows):
    return [[mp.fdiv(*map(mpf, x.split("/"))) if "/" in x else mpf(x) for x in row] for row in rows]


def entry(case, given):
    """Value and gradient of one case, as strings."""
    name, options = CASES[case]
    with mp.workdps(DIGITS):
        options = {key: mpf(value) if key == "temperature" else value for key, value in options.items()}
        if name == "prototypes":
            options["prototypes"] = numbers(given["prototypes"])
        views = [numbers(given["first"]), numbers(given["second"])]

        def value():
            return LOSSES[name](*views, given["labels"], **options)

        result = {"loss": name, "options": CASES[case][1], "value": mp.nstr(value(), PRINTED)}
        step = mpf(10) ** -17  # errors: step^2 / tau^3 = 10^-28 at tau = 0.01, rounding 10^-33
        for view, key in zip(views, ("first_gradient", "second_gradient"), strict=True):
            result[key] = []
            for row in view:
                slopes = []
                for j, x in enumerate(row):
                    row[j] = x + step
                    above = value()
                    row[j] = x - step
                    slopes.append(mp.nstr((above - value()) / (2 * step), PRINTED_SLOPE))
                    row[j] = x
                result[key].append(slopes)
        return result


def make():
    given = inputs()
    return {"inputs": given, "entries": {case: entry(case, given) for case in CASES}}


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1) + "\n")
