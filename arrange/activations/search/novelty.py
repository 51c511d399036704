"""Has the island seen this before? By the text of a program's operations, and by the shape of its curve."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arrange.activations.evaluation import Evaluate, Evaluation
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import Rejected
from arrange.activations.search.database import Candidate, Database

SIMILAR = 0.99


def form(source: str) -> str:
    """The canonical text of a program; of one that the check refuses, its text."""
    try:
        return canonical(source)
    except Rejected:
        return source


def features(curve: Sequence[float] | np.ndarray) -> np.ndarray:
    """A curve's values, slopes and curvatures on GRID, each centred and of length 1: three rows, padded by zeros."""
    rows = np.zeros((3, len(curve)))
    for order in range(3):
        values = np.diff(np.asarray(curve), order)
        values = values - values.mean()
        length = np.linalg.norm(values)
        if length > 1e-9:  # else a constant: it is like no other
            rows[order, : len(values)] = values / length
    return rows


def similarity(one: np.ndarray, others: np.ndarray) -> float:
    """How like the likest of `others` (n, 3, 65) is a curve (3, 65), both as `features`: 0 to 1.

    The least of three absolute correlations. That of the values alone calls all of ReLU, GELU and GELUSine the same
    (above 0.998); those of slopes and curvatures tell them apart. Scale, sign and an added constant count for nothing,
    as they do to a network.
    """
    if not len(others):
        return 0.0
    return float(np.abs(np.einsum("rg,nrg->nr", one, others)).min(axis=1).max())


class Novelty:
    """Judges a generation's candidates, one after another: each is compared with those before it as well."""

    def __init__(self, database: Database, islands: int, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        known = [database.known(island) for island in range(islands)]
        self._texts = [texts for texts, _ in known]
        self._curves = [[features(curve) for curve in curves] for _, curves in known]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, with a reason where they are `duplicate`, not admitted, or `similar`."""
        told = [self._by_text(candidate) for candidate in candidates]
        sources = [candidate.proposal.source for candidate in told if not candidate.reason]
        admissions = iter(self._evaluate(sources, "admit") if sources else ())
        return [candidate if candidate.reason else self._by_curve(candidate, next(admissions)) for candidate in told]

    def _by_text(self, candidate: Candidate) -> Candidate:
        if candidate.reason:
            return candidate
        texts = self._texts[candidate.island or 0]
        if candidate.canonical in texts:
            return replace(candidate, reason="duplicate", detail="the island had this program before")
        texts.add(candidate.canonical)
        return candidate

    def _by_curve(self, candidate: Candidate, admission: Evaluation) -> Candidate:
        if admission.admitted is None:
            return replace(candidate, searched=admission)
        curves = self._curves[candidate.island or 0]
        curve = features(admission.admitted.curve)
        likest = similarity(curve, np.asarray(curves))
        if likest > SIMILAR:
            return replace(candidate, reason="similar", detail=f"{likest:.4f} like one before", searched=admission)
        curves.append(curve)
        return candidate
