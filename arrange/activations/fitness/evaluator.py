"""Measures candidates rung by rung: little is spent on all of them, more on those that are promising."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from arrange.activations.evaluation import REFERENCE, Evaluation, Job, Measurement, Outcome, Run
from arrange.activations.fitness.trial import Trial, draw_trial
from arrange.activations.portfolio import gain
from arrange.activations.sandbox.pool import Pool
from arrange.activations.settings import Fitness, Sandbox
from arrange.errors import UserError

ENTRY = "arrange.activations.fitness.training:fit"
STOPPED = ("cpu", "wall", "memory", "crashed", "output")  # reasons for which a program may have stopped at any step
Place = tuple[str, int | None]  # a rung and a side


@contextmanager
def evaluator(fitness: Fitness, sandbox: Sandbox, seed: int) -> Iterator["Evaluator"]:
    """Yield an evaluator with a sandbox of its own, whose processes end with the block."""
    with Pool(ENTRY, sandbox) as pool:
        yield Evaluator(pool, fitness, seed)


class Evaluator:
    """An `Evaluate`: takes sources and the name of a set of problems, and returns evaluations.

    "search" measures all on the rung `first`. The share `fitness.kept` of them, the best ones, are measured on the rung
    `search` too, which then gives their fitness. So a candidate there depends on those that it is measured with; on
    every other set it depends on itself and the portfolio alone. The number of workers makes no difference.
    "admit" runs the admission tests alone. Any other name is a rung. "confirm", "validate" and "test" have problems
    and seeds of their own; within a set and a side all candidates have the same ones.

    A candidate pays for the training that it took: nothing where admission failed, the whole rung where the sandbox
    had to stop it. A portfolio's programs are measured once a set and side, in the same way, and cost nothing.

    run: a sandbox's pool with the entry function ENTRY.

    >>> evaluate = Evaluator(pool, fitness, seed=1)  # doctest: +SKIP
    >>> evaluate(["def activation(x): return torch.sin(x)"], "search", side=0)[0].fitness  # doctest: +SKIP
    """

    def __init__(self, run: Run, fitness: Fitness, seed: int) -> None:
        self._run, self._fitness, self._seed = run, fitness, seed
        self._trials: dict[Place, Trial] = {}
        self._known: dict[tuple[Place, str], Evaluation] = {}  # of portfolios' programs

    def __call__(
        self, sources: Sequence[str], name: str, side: int | None = None, portfolio: Sequence[str] = (REFERENCE,)
    ) -> list[Evaluation]:
        """One evaluation per source, in their order."""
        if name == "admit":
            return [_without_measurements(outcome) for outcome in self._run([Job(source) for source in sources])]
        if name != "search":
            return self._measure(sources, (name, side), portfolio)
        early = self._measure(sources, ("first", side), portfolio)
        promising = best(early, self._fitness.kept)
        found = self._measure([sources[i] for i in promising], ("search", side), portfolio)
        late = dict(zip(promising, found, strict=True))
        return [_join(evaluation, late[i]) if i in late else _screen(evaluation) for i, evaluation in enumerate(early)]

    def _measure(self, sources: Sequence[str], place: Place, portfolio: Sequence[str]) -> list[Evaluation]:
        """All sources on one rung and side, as complements of the portfolio."""
        members = {program: self._member(program, place) for program in portfolio}
        new = [source for source in sources if source not in members]
        outcomes = dict(zip(new, self._outcomes(new, self._trial(place)), strict=True))
        return [
            replace(self._known[place, source], fitness=0.0)
            if source in members
            else self._evaluation(outcomes[source], place, members)
            for source in sources
        ]

    def _member(self, program: str, place: Place) -> Sequence[Measurement]:
        """The measurements of a portfolio's program."""
        if (place, program) not in self._known:
            (outcomes,) = self._outcomes([program], self._trial(place))
            evaluation = self._evaluation(outcomes, place, {})
            if evaluation.reason:
                raise UserError(
                    f"a portfolio's activation could not be measured: {evaluation.reason} {evaluation.detail}".rstrip(),
                    "raise the sandbox's limits or the budget of FLOPs",
                )
            self._known[place, program] = replace(evaluation, member_steps=0)
        return self._known[place, program].measurements

    def _trial(self, place: Place) -> Trial:
        if place not in self._trials:
            name, side = place
            self._trials[place] = draw_trial(self._fitness, name, self._seed, side)
        return self._trials[place]

    def _outcomes(self, sources: Sequence[str], trial: Trial) -> list[list[Outcome]]:
        """The outcomes of each source's jobs."""
        outcomes = iter(self._run([job for source in sources for job in trial.jobs(source)]))
        return [[next(outcomes) for _ in trial.parts] for _ in sources]

    def _evaluation(
        self, outcomes: Sequence[Outcome], place: Place, members: dict[str, Sequence[Measurement]]
    ) -> Evaluation:
        """The evaluation of a candidate from its outcomes. Without members there is nothing to gain."""
        trial = self._trial(place)
        if failure := next((outcome for outcome in outcomes if outcome.reason), None):
            return _without_measurements(failure, trial.rung.member_steps if failure.reason in STOPPED else 0)
        try:
            measurements = tuple(trial.measurements(outcomes))
        except ValueError as error:
            return Evaluation(None, "output", str(error), trial.rung.member_steps)
        score = gain(members, measurements) if members else 0.0
        return Evaluation(score, "", "", trial.rung.member_steps, outcomes[0].admitted, measurements)


def best(evaluations: Sequence[Evaluation], share: float) -> list[int]:
    """The places of the best by fitness, in order: this share, rounded up, of those that have one."""
    scored = [(-one.fitness, place) for place, one in enumerate(evaluations) if one.fitness is not None]
    return sorted(place for _, place in sorted(scored)[: math.ceil(share * len(scored))])


def _without_measurements(outcome: Outcome, member_steps: int = 0) -> Evaluation:
    return Evaluation(None, outcome.reason, outcome.detail, member_steps, outcome.admitted)


def _screen(evaluation: Evaluation) -> Evaluation:
    """The evaluation of a candidate that stays at the first rung: `screened`, unless it failed there."""
    if evaluation.fitness is None:
        return evaluation
    detail = f"{evaluation.fitness:.3f} on the first rung"
    return replace(evaluation, fitness=None, reason="screened", detail=detail)


def _join(early: Evaluation, late: Evaluation) -> Evaluation:
    """The later fitness, with the measurements and the cost of both rungs."""
    return replace(
        late,
        member_steps=early.member_steps + late.member_steps,
        measurements=early.measurements + late.measurements,
        admitted=late.admitted or early.admitted,
    )
