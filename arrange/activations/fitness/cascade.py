"""Candidates measured rung by rung: little is spent on all, more on those that aren't hopeless."""

from collections.abc import Sequence
from dataclasses import replace

from arrange.activations.evaluation import Evaluation, Job, Measurement, Outcome, Run
from arrange.activations.fitness.protocol import Protocol, fitness
from arrange.activations.fitness.trial import Trial, trial
from arrange.errors import UserError

REFERENCE = "def activation(x):\n    return F.gelu(x)\n"
CAUGHT = ("cpu", "wall", "memory", "crashed", "output")  # words for a program that was stopped, nobody knows how far


class Cascade:
    """An `Evaluate`: sources and the name of a set of problems in, evaluations out.

    "search": all on the rung `first`; those whose fitness there isn't below `protocol.screen` on the rung `search`
    too, on which their fitness then is. Whether one is stopped depends on it and the reference alone, not on its
    company, so the order of arrival and the number of workers make no difference.
    "admit": the admission tests alone. Any other name is a rung of the protocol. "confirm", "validate" and "test" have
    problems and seeds of their own; within a set all candidates have the same ones.

    A candidate pays for what was trained of it: nothing for an admission that failed, the whole rung for one that the
    sandbox had to stop. The reference is measured once a rung, by the same path, and isn't charged.

    run: a sandbox's pool with the entry function "arrange.activations.fitness.training:fit".

    >>> cascade = Cascade(pool, Protocol(), seed=1)  # doctest: +SKIP
    >>> cascade(["def activation(x): return torch.sin(x)"], "search")[0].fitness  # doctest: +SKIP
    """

    def __init__(self, run: Run, protocol: Protocol, seed: int, reference: str = REFERENCE) -> None:
        self._run, self._protocol, self._seed, self._reference = run, protocol, seed, reference
        self._ready: dict[str, tuple[Trial, Sequence[Measurement]]] = {}

    def __call__(self, sources: Sequence[str], name: str) -> list[Evaluation]:
        """One evaluation per source, in their order."""
        if name == "admit":
            return [_admission(outcome) for outcome in self._run([Job(source) for source in sources])]
        if name != "search":
            return self._measured(sources, name)
        early = self._measured(sources, "first")
        kept = [i for i, found in enumerate(early) if self._promising(found)]
        late = dict(zip(kept, self._measured([sources[i] for i in kept], "search"), strict=True))
        return [_both(found, late[i]) if i in late else _stopped(found) for i, found in enumerate(early)]

    def _promising(self, found: Evaluation) -> bool:
        return found.fitness is not None and found.fitness >= self._protocol.screen

    def _measured(self, sources: Sequence[str], name: str) -> list[Evaluation]:
        """All sources on one rung."""
        if name not in self._ready:
            self._ready[name] = self._prepared(name)
        drawn, reference = self._ready[name]
        return [_evaluation(outcomes, drawn, reference) for outcomes in self._outcomes(sources, drawn)]

    def _prepared(self, name: str) -> tuple[Trial, Sequence[Measurement]]:
        """A rung's problems, and what the reference does on them."""
        drawn = trial(self._protocol, name, self._seed)
        (outcomes,) = self._outcomes([self._reference], drawn)
        found = _evaluation(outcomes, drawn)
        if found.reason:
            raise UserError(
                f"the reference activation could not be measured: {found.reason} {found.detail}".rstrip(),
                "raise the sandbox's limits or the budget of FLOPs",
            )
        return drawn, found.measurements

    def _outcomes(self, sources: Sequence[str], drawn: Trial) -> list[list[Outcome]]:
        """The outcomes of each source's jobs."""
        outcomes = iter(self._run([job for source in sources for job in drawn.jobs(source)]))
        return [[next(outcomes) for _ in drawn.parts] for _ in sources]


def _evaluation(
    outcomes: Sequence[Outcome], drawn: Trial, reference: Sequence[Measurement] | None = None
) -> Evaluation:
    """What a candidate's outcomes on a rung come to, and cost. The reference is compared with itself."""
    if failed := next((outcome for outcome in outcomes if outcome.reason), None):
        return _admission(failed, drawn.rung.member_steps if failed.reason in CAUGHT else 0)
    try:
        measured = tuple(drawn.measurements(outcomes))
    except ValueError as error:
        return Evaluation(None, "output", str(error), drawn.rung.member_steps)
    score = fitness(measured, reference or measured)
    return Evaluation(score, "", "", drawn.rung.member_steps, outcomes[0].admitted, measured)


def _admission(outcome: Outcome, member_steps: int = 0) -> Evaluation:
    """An evaluation without measurements."""
    return Evaluation(None, outcome.reason, outcome.detail, member_steps, outcome.admitted)


def _stopped(found: Evaluation) -> Evaluation:
    """One that goes no further than the first rung: `screened`, where it didn't fail there."""
    if found.fitness is None:
        return found
    return replace(found, fitness=None, reason="screened", detail=f"{found.fitness:.3f} on the first rung")


def _both(early: Evaluation, late: Evaluation) -> Evaluation:
    """The later fitness; the measurements and the cost of both rungs."""
    steps, measured = early.member_steps + late.member_steps, early.measurements + late.measurements
    return replace(late, member_steps=steps, measurements=measured, admitted=late.admitted or early.admitted)
