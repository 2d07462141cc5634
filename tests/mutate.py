"""Change every formula of bounds/ a little and see who notices: `clopsim verify`, and the tests of that file.

    python -m tests.mutate [FILE ...] [--most N] [--jobs 2] [--skip-tests]

A mutant is one change of the running code, in memory: what a function returns times 1.05, a plus for a minus or back,
a minus dropped, a number in a product or a sum 5 % larger, a branch taken the other way. Both judges see the changed
code: the evidence of the claims that run the changed function, the cheapest first, and tests/bounds/test_FILE.py. What
nobody notices is a formula that could be wrong. Exits with 1 if a mutant survives that is not listed as harmless.
"""

import argparse
import ast
import copy
import importlib
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

from tests.harmless import HARMLESS

ROOT = Path(__file__).parent.parent

SECONDS = 120
"""After which a judge counts as hung, which is noticed too."""

PROOFS = ("derive", "_closed_forms", "_closed_form", "_agreements")
"""Functions that state a claim in symbols instead of computing numbers; a wrong one leaves an identity open."""


@dataclass(frozen=True)
class Mutant:
    """One change: of a function of a file of bounds, at a line."""

    module: str
    function: str
    line: int
    change: str  # in words, with the source of the place
    code: CodeType

    @property
    def harmless(self) -> bool:
        return any(
            (self.module, self.function) == (module, function) and self.change.startswith(words)
            for module, function, words in HARMLESS
        )

    def __str__(self) -> str:
        return f"{self.module}.{self.function}, line {self.line}: {self.change}"


class _Place(ast.NodeTransformer):
    """Visits every place of a function that can be changed, and changes the one of the given number."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.count, self.change, self.line = wanted, 0, "", 0

    def _here(self, node: ast.AST, words: str) -> bool:
        self.count += 1
        if self.count - 1 != self.wanted:
            return False
        self.change, self.line = words, getattr(node, "lineno", 0)
        return True

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if node.value is not None and _numeric(node.value) and self._here(node, f"1.05 * ({_source(node.value)})"):
            scaled = ast.BinOp(ast.Constant(1.05), ast.Mult(), node.value)
            return ast.copy_location(ast.Return(ast.copy_location(scaled, node.value)), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        swap = {ast.Add: ast.Sub, ast.Sub: ast.Add}.get(type(node.op))
        if swap is not None and self._here(node, f"sign of ({_source(node)})"):
            return ast.copy_location(ast.BinOp(node.left, swap(), node.right), node)
        for side in ("left", "right"):
            number = getattr(node, side)
            if isinstance(number, ast.UnaryOp):  # -2
                number = number.operand
            if isinstance(number, ast.Constant) and type(number.value) in (int, float) and number.value:
                words = f"{number.value} -> {number.value * 1.05:g} in ({_source(node)})"
                if self._here(node, words):
                    number.value *= 1.05
                    return node
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and self._here(node, f"minus dropped in ({_source(node)})"):
            return node.operand
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if self._here(node, f"other branch of ({_source(node)})"):
            return ast.copy_location(ast.IfExp(node.test, node.orelse, node.body), node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.body[0], ast.Raise):  # a rule about the input, no number
            node.orelse = [self.visit(each) for each in node.orelse]
            return node
        self.generic_visit(node)
        if self._here(node, f"other branch of (if {_source(node.test)})"):
            test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            return ast.copy_location(ast.If(test, node.body, node.orelse), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node  # words of a message

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return node  # annotations and defaults


def _source(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _numeric(value: ast.AST) -> bool:
    """Whether a returned expression may be a number; words, answers, records and None are not scaled."""
    if isinstance(value, ast.Constant):
        return type(value.value) in (int, float) and bool(value.value)
    if isinstance(value, ast.IfExp):
        return _numeric(value.body) and _numeric(value.orelse)
    if isinstance(value, ast.Call):
        return not (isinstance(value.func, ast.Name) and value.func.id[0].isupper())  # a record
    return isinstance(value, ast.BinOp | ast.UnaryOp | ast.Name | ast.Attribute | ast.Subscript)


def modules() -> list[str]:
    """The files of bounds that hold formulas."""
    skip = {"__init__", "arguments", "derivation"}
    return sorted(path.stem for path in (ROOT / "bounds").glob("*.py") if path.stem not in skip)


def mutants(module: str) -> Iterator[Mutant]:
    """Every change of every function of a file, the proofs left out."""
    path = ROOT / "bounds" / f"{module}.py"
    tree = ast.parse(path.read_text())
    for index, outer in enumerate(tree.body):
        inner = outer.body if isinstance(outer, ast.ClassDef) else [outer]
        for place, node in enumerate(inner):
            if (
                not isinstance(node, ast.FunctionDef)
                or node.name in PROOFS
                or _returns(node) in NO_NUMBER
                or "sp." in _returns(node)
            ):
                continue
            name = node.name if node is outer else f"{outer.name}.{node.name}"
            for wanted in itertools.count():
                visitor, changed = _Place(wanted), copy.deepcopy(tree)
                around = changed.body[index]
                function = around if node is outer else around.body[place]
                function.body = [visitor.visit(statement) for statement in function.body]
                if visitor.count <= wanted:
                    break
                code = compile(ast.fix_missing_locations(changed), str(path), "exec")
                for part in name.split("."):
                    (code,) = (one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == part)
                yield Mutant(module, name, visitor.line, visitor.change, code)


NO_NUMBER = ("bool", "str", "None")
"""What a function returns that holds no formula; one that returns sympy's expressions is part of a proof."""


def _returns(node: ast.FunctionDef) -> str:
    return ast.unparse(node.returns).strip("'\"") if node.returns else ""


def function_of(mutant: Mutant) -> FunctionType:
    found: Any = importlib.import_module(f"clopsim.bounds.{mutant.module}")
    for part in mutant.function.split("."):
        found = vars(found)[part]
    found = getattr(found, "fget", found)  # of a property
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    assert isinstance(found, FunctionType)
    return found


Evidence = tuple[str, Callable[[], list[str]]]
"""What a piece of evidence is, and what fails in it; no failures while the code is right."""


def evidence() -> Iterator[tuple[str, Evidence]]:
    """Every piece of evidence of the ledger, with the claim. Derivations are made here, by the right code."""
    from clopsim.audit.ledger import CLAIMS

    for claim in CLAIMS:
        for derive in claim.derivations:
            derivation = derive()

            def disagreements(derivation: Any = derivation) -> list[str]:
                return list(derivation.disagreements())

            yield claim.identifier, (f"agreements of {claim.identifier}", disagreements)
        for certify in claim.certificates:

            def uncertain(certify: Any = certify) -> list[str]:
                return [name for name, certain in certify().items() if not certain]

            yield claim.identifier, (f"certificates of {claim.identifier}", uncertain)
        for experiment in claim.experiments:

            def gap(experiment: Any = experiment) -> list[str]:
                found = experiment()
                return [] if found.holds else [found.title]

            yield claim.identifier, (f"experiment {experiment.__name__}", gap)


def traced(run: Callable[[], Any]) -> tuple[set[tuple[str, str]], float, Any]:
    """The functions of bounds (file, name) that a call runs, its seconds, what it returned."""
    folder, ran = str(ROOT / "bounds") + os.sep, set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            ran.add((Path(frame.f_code.co_filename).stem, frame.f_code.co_name))

    began = time.perf_counter()
    sys.setprofile(note)
    try:
        result = run()
    finally:
        sys.setprofile(None)
    return ran, time.perf_counter() - began, result


def in_children(
    questions: Iterable[tuple[Any, Mutant, Callable[[], bool]]], jobs: int
) -> Iterator[tuple[Any, Mutant, str]]:
    """Ask judges about changed code, each in a process of its own: "noticed", "missed" or "hung", as they come.

    Forked from here, without threads, so that no child inherits a lock that somebody holds.
    """
    waiting, running = iter(questions), dict[int, tuple[Any, Mutant]]()
    more = True
    while more or running:
        while more and len(running) < jobs:
            question = next(waiting, None)
            if question is None:
                more = False
                break
            key, mutant, judge = question
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                _judge(mutant, judge)
            running[child] = key, mutant
        if running:
            child, status = os.wait()
            key, mutant = running.pop(child)
            if os.WIFSIGNALED(status):
                answer = "hung" if os.WTERMSIG(status) == signal.SIGALRM else "noticed"
            else:
                answer = "noticed" if os.WEXITSTATUS(status) else "missed"
            yield key, mutant, answer


def _judge(mutant: Mutant, judge: Callable[[], bool]) -> NoReturn:
    signal.alarm(SECONDS)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        function_of(mutant).__code__ = mutant.code
        noticed = judge()
    except BaseException:
        noticed = True
    os._exit(1 if noticed else 0)


ELSEWHERE = {"class_enclosures": ("equilibrium", "critical_weight")}
"""Files without a test file of their own, and those that test them."""


def tests_of(module: str) -> list[Path]:
    """The test files that hold a file of bounds; they exist."""
    paths = [ROOT / "tests" / "bounds" / f"test_{name}.py" for name in ELSEWHERE.get(module, (module,))]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{module} has no tests: {path} is missing")  # pytest's error would pass as noticed
    return paths


def tests_notice(module: str) -> bool:
    """Whether the tests of a file fail."""
    import pytest

    paths = [str(path) for path in tests_of(module)]
    return pytest.main([*paths, "-x", "-q", "-p", "no:cacheprovider", "--no-header"]) != 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="files of bounds, as in collapse (default: all)")
    parser.add_argument("--most", type=int, default=0, help="at most so many mutants of each file, drawn with seed 0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--skip-tests", action="store_true", help="ask verify alone")
    options = parser.parse_args()
    known = modules()
    for name in options.files:
        if name not in known:
            parser.error(f"FILE must be one of {', '.join(known)}, got {name}")
    for name in () if options.skip_tests else options.files or known:
        tests_of(name)
    import torch

    torch.set_num_threads(1)
    pieces = []
    for claim, (what, run) in evidence():
        ran, seconds, failures = traced(run)
        if failures:
            print(f"{what} fails before anything is changed: {failures}")
            return 1
        pieces.append((seconds, claim, what, run, ran))
    pieces.sort(key=lambda piece: piece[0])

    def verify_notices(mutant: Mutant) -> bool:
        return any(run() for *_, run, ran in pieces if (mutant.module, mutant.function.split(".")[-1]) in ran)

    chosen: list[Mutant] = []
    for module in options.files or known:
        these = list(mutants(module))
        few = options.most and len(these) > options.most
        chosen += random.Random(0).sample(these, options.most) if few else these
    questions = [("verify", mutant, partial(verify_notices, mutant)) for mutant in chosen]
    if not options.skip_tests:
        questions += [("tests", mutant, partial(tests_notice, mutant.module)) for mutant in chosen]
    answers: dict[str, dict[Mutant, str]] = {"verify": {}, "tests": {}}
    for judge, mutant, answer in in_children(questions, options.jobs):
        answers[judge][mutant] = answer
        if answer == "missed" and not mutant.harmless:
            print(f"{judge} missed  {mutant}", flush=True)
    missed = {
        judge: [mutant for mutant, answer in found.items() if answer == "missed" and not mutant.harmless]
        for judge, found in answers.items()
    }
    print(f"{'file':<20} mutants  missed by verify  by its tests  by both")
    for module in [*dict.fromkeys(mutant.module for mutant in chosen), "all"]:
        verify, tests = (
            {mutant for mutant in missed[judge] if module in ("all", mutant.module)} for judge in ("verify", "tests")
        )
        count = sum(module in ("all", mutant.module) for mutant in chosen)
        found = ("-", "-") if options.skip_tests else (len(tests), len(verify & tests))
        print(f"{module:<20} {count:7d}  {len(verify):16d}  {found[0]:>12}  {found[1]:>7}")
    return 1 if any(missed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
