"""Portfolios: train a network with each activation, keep the one with the lowest error in distribution.

No activation is best everywhere, but validation in distribution tells on many problems which one fits. A portfolio is
compared with the control of equal training: as many networks with GELU from other seeds, picked in the same way.

>>> members = load("activations/found/portfolio")  # doctest: +SKIP
>>> best = fit_and_pick(members, train=my_training, error=my_validation_error)  # doctest: +SKIP
>>> best.name, best.model  # doctest: +SKIP
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from arrange.activations.evaluation import Activation, Measurement
from arrange.activations.feedforward import normalised
from arrange.activations.fitness.scoring import fitness_of, gains
from arrange.activations.programs import files
from arrange.activations.programs.admission import admit
from arrange.errors import UserError

CLASSICAL = {"classical": ("gelu", "silu", "sin")}  # the portfolio that a search has to beat
CONTROL = "best of"
Measured = Sequence[Measurement]  # of one activation
Model = TypeVar("Model")


def titled(name: str) -> str:
    """What tables call a portfolio."""
    return f"portfolio {name}"


def control(count: int, activation: str = "gelu") -> str:
    """What tables call the control of equal training: the best of so many networks with one activation."""
    return f"{CONTROL} {count} {activation}"


class Step(NamedTuple):
    """A member that a portfolio got, and how much it added: see `grow`."""

    name: str
    gain: float


@dataclass(frozen=True)
class Fitted(Generic[Model]):
    """What `fit_and_pick` kept, and the validation errors of all that were trained, by name."""

    name: str
    model: Model
    errors: Mapping[str, float]


def pick(members: Mapping[str, Measured]) -> dict[tuple[str, int], tuple[str, Measurement]]:
    """The member with the lowest validation error, with its measurement, by problem and seed.

    The first of equals counts. A member that was not measured on a problem is not picked there.
    """
    picked: dict[tuple[str, int], tuple[str, Measurement]] = {}
    for name, measured in members.items():
        for one in measured:
            key = (one.problem, one.seed)
            if key not in picked or one.valid < picked[key][1].valid:
                picked[key] = (name, one)
    return picked


def measurements(members: Mapping[str, Measured]) -> list[Measurement]:
    """The measurements of the portfolio as if it were one activation: those of the members that validation picks."""
    return [one for _, one in pick(members).values()]


def picks(members: Mapping[str, Measured]) -> dict[str, dict[str, float]]:
    """How often each member is picked, as a share of problems and seeds, by family."""
    counts: dict[str, Counter[str]] = {}
    for name, one in pick(members).values():
        counts.setdefault(one.family, Counter())[name] += 1
    return {family: {name: count[name] / count.total() for name in members} for family, count in counts.items()}


def best_of_seeds(measured: Measured, count: int) -> list[Measurement]:
    """The control of equal training: one activation from `count` seeds, the best one by validation.

    The seed s of the result has the best of the seeds s, s + 1 ... in the order of the seeds, and around its end.
    Raises UserError where there are fewer seeds.
    """
    seeds = sorted({one.seed for one in measured})
    if len(seeds) < count:
        raise UserError(f"{count} seeds are wanted of an activation that was trained from {len(seeds)}", "train more")
    place = {seed: number for number, seed in enumerate(seeds)}
    turned = {
        str(shift): [replace(one, seed=seeds[(place[one.seed] - shift) % len(seeds)]) for one in measured]
        for shift in range(count)
    }
    return measurements(turned)


def gain(members: Mapping[str, Measured], candidate: Measured) -> float:
    """How much the error out of distribution falls when validation may pick the candidate too.

    It is minus the mean log-ratio of the errors with and without it, families weighted equally: 0.1 is an error that
    is 10% lower. An activation that fits nothing is hardly ever picked, and gains about 0.
    """
    return fitness_of(measurements({**members, "": candidate}), measurements(members))


def family_gains(members: Mapping[str, Measured], candidate: Measured) -> dict[str, float]:
    """The `gain` in each family."""
    return gains(measurements({**members, "": candidate}), measurements(members))


def grow(pool: Mapping[str, Measured], start: Mapping[str, Measured], size: int) -> list[Step]:
    """Greedy forward selection: the members that the portfolio `start` gets, up to `size` with those that it has.

    Each step adds the member of the pool with the highest gain, the first of equals. It ends early where no member
    gains anything.
    """
    members, left, steps = dict(start), dict(pool), list[Step]()
    while left and len(members) < size:
        gained = {name: gain(members, measured) for name, measured in left.items()}
        best = max(gained, key=gained.__getitem__)
        if gained[best] <= 0:
            break
        members[best] = left.pop(best)
        steps.append(Step(best, gained[best]))
    return steps


def fit_and_pick(
    activations: Mapping[str, Activation], train: Callable[[Activation], Model], error: Callable[[Model], float]
) -> Fitted[Model]:
    """Train a model with each activation and keep the one with the lowest error, the first of equals.

    train: makes and trains a model with an activation in it (`feedforward.AsModule` makes a module of one).
    error: of a trained model on validation data like the training data; nan counts as worst.
    Only the best model so far is kept. Raises UserError without activations.

    >>> fit_and_pick({"sin": np.sin, "cos": np.cos}, train=lambda f: f(0.0), error=abs).name
    'sin'
    """
    kept: tuple[str, Model] | None = None
    errors: dict[str, float] = {}
    for name, activation in activations.items():
        model = train(activation)
        errors[name] = float(np.nan_to_num(error(model), nan=np.inf, posinf=np.inf))
        if kept is None or errors[name] < errors[kept[0]]:
            kept = name, model
    if kept is None:
        raise UserError("a portfolio without activations fits nothing", "give at least one")
    return Fitted(*kept, errors)


def load(folder: str | Path) -> dict[str, Activation]:
    """The portfolio in a folder of modules that `save` wrote, by name, in order; each at the scale of its search.

    That is: divided by sqrt E f(z)^2, z standard normal. Another scale would act as another learning rate.
    Raises UserError where there is none, and as `programs.files.load` does.
    """
    paths = sorted(Path(folder).glob("*.py"))
    if not paths:
        raise UserError(f"{folder} holds no activation", "name the folder `portfolio` that the stage select writes")
    functions = {path.stem.partition("-")[2]: files.load(path) for path in paths}
    return {name: normalised(function, admit(function, np.inf)) for name, function in functions.items()}


def save(folder: Path, sources: Mapping[str, str]) -> None:
    """Write a portfolio's programs as modules 1-<name>.py, 2-<name>.py ... into a new folder."""
    folder.mkdir(parents=True)
    for place, (name, source) in enumerate(sources.items(), start=1):
        files.save(folder / f"{place}-{name}.py", source, {"name": name})
