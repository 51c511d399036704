"""Measures candidates rung by rung: little is spent on all of them, more on those that are promising."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from arrange.activations.evaluation import Evaluation, Job, Measurement, Outcome, Run
from arrange.activations.fitness.scoring import fitness_of
from arrange.activations.fitness.trial import Trial, draw_trial
from arrange.activations.sandbox.pool import Pool
from arrange.activations.settings import Fitness, Sandbox
from arrange.errors import UserError

ENTRY = "arrange.activations.fitness.training:fit"
REFERENCE = "def activation(x):\n    return F.gelu(x)\n"
STOPPED = ("cpu", "wall", "memory", "crashed", "output")  # reasons for which a program may have stopped at any step


@contextmanager
def evaluator(fitness: Fitness, sandbox: Sandbox, seed: int) -> Iterator["Evaluator"]:
    """Yield an evaluator with a sandbox of its own, whose processes end with the block."""
    with Pool(ENTRY, sandbox) as pool:
        yield Evaluator(pool, fitness, seed)


class Evaluator:
    """An `Evaluate`: takes sources and the name of a set of problems, and returns evaluations.

    "search" measures all on the rung `first`. Those whose fitness there is at least `fitness.screen` are measured on
    the rung `search` too, which then gives their fitness. A candidate's evaluation depends on it and the reference
    alone, so the order of candidates and the number of workers make no difference.
    "admit" runs the admission tests alone. Any other name is a rung. "confirm", "validate" and "test" have problems
    and seeds of their own; within a set all candidates have the same ones.

    A candidate pays for the training that it took: nothing where admission failed, the whole rung where the sandbox
    had to stop it. The reference is measured once a rung, in the same way, and costs nothing.

    run: a sandbox's pool with the entry function ENTRY.

    >>> evaluate = Evaluator(pool, fitness, seed=1)  # doctest: +SKIP
    >>> evaluate(["def activation(x): return torch.sin(x)"], "search")[0].fitness  # doctest: +SKIP
    """

    def __init__(self, run: Run, fitness: Fitness, seed: int, reference: str = REFERENCE) -> None:
        self._run, self._fitness, self._seed, self._reference = run, fitness, seed, reference
        self._trials: dict[str, tuple[Trial, Sequence[Measurement]]] = {}

    def __call__(self, sources: Sequence[str], name: str) -> list[Evaluation]:
        """One evaluation per source, in their order."""
        if name == "admit":
            return [_without_measurements(outcome) for outcome in self._run([Job(source) for source in sources])]
        if name != "search":
            return self._measure(sources, name)
        early = self._measure(sources, "first")
        promising = [i for i, evaluation in enumerate(early) if self._is_promising(evaluation)]
        late = dict(zip(promising, self._measure([sources[i] for i in promising], "search"), strict=True))
        return [_join(evaluation, late[i]) if i in late else _screen(evaluation) for i, evaluation in enumerate(early)]

    def _is_promising(self, evaluation: Evaluation) -> bool:
        return evaluation.fitness is not None and evaluation.fitness >= self._fitness.screen

    def _measure(self, sources: Sequence[str], rung: str) -> list[Evaluation]:
        """All sources on one rung."""
        if rung not in self._trials:
            self._trials[rung] = self._prepare(rung)
        trial, reference = self._trials[rung]
        return [_evaluation(outcomes, trial, reference) for outcomes in self._outcomes(sources, trial)]

    def _prepare(self, rung: str) -> tuple[Trial, Sequence[Measurement]]:
        """A rung's problems, and the reference's measurements on them."""
        trial = draw_trial(self._fitness, rung, self._seed)
        (outcomes,) = self._outcomes([self._reference], trial)
        evaluation = _evaluation(outcomes, trial)
        if evaluation.reason:
            raise UserError(
                f"the reference activation could not be measured: {evaluation.reason} {evaluation.detail}".rstrip(),
                "raise the sandbox's limits or the budget of FLOPs",
            )
        return trial, evaluation.measurements

    def _outcomes(self, sources: Sequence[str], trial: Trial) -> list[list[Outcome]]:
        """The outcomes of each source's jobs."""
        outcomes = iter(self._run([job for source in sources for job in trial.jobs(source)]))
        return [[next(outcomes) for _ in trial.parts] for _ in sources]


def _evaluation(
    outcomes: Sequence[Outcome], trial: Trial, reference: Sequence[Measurement] | None = None
) -> Evaluation:
    """The evaluation of a candidate from its outcomes on a rung. Without a reference it is compared with itself."""
    if failure := next((outcome for outcome in outcomes if outcome.reason), None):
        return _without_measurements(failure, trial.rung.member_steps if failure.reason in STOPPED else 0)
    try:
        measurements = tuple(trial.measurements(outcomes))
    except ValueError as error:
        return Evaluation(None, "output", str(error), trial.rung.member_steps)
    score = fitness_of(measurements, reference or measurements)
    return Evaluation(score, "", "", trial.rung.member_steps, outcomes[0].admitted, measurements)


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
