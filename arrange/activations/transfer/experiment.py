"""The transfer test: found and known activations, once, on what no search saw."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import polars as pl

from arrange.activations.evaluation import Activation, Admitted, Evaluation, Measurement
from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.fitness.trial import draw_trial
from arrange.activations.problems.families import LISTED
from arrange.activations.programs.check import compile_program
from arrange.activations.settings import Fitness, Sandbox, Transfer
from arrange.activations.transfer import extrapolation, table
from arrange.activations.transfer.digits import digits
from arrange.activations.transfer.networks import DataSet, measure
from arrange.activations.transfer.tabular import tabular

REFERENCE, RELU = "gelu", "relu"
Reached = Callable[[int, str], object]  # called with the number of steps done and what was done
Compiled = Mapping[str, tuple[Activation, Admitted]]  # by name
Sets = Mapping[str, Sequence[DataSet]]  # by group


def run_transfer(
    sources: Mapping[str, str],
    winners: Sequence[str],
    controls: Sequence[str],
    fitness: Fitness,
    sandbox: Sandbox,
    transfer: Transfer,
    reached: Reached = lambda done, note: None,
) -> dict[str, pl.DataFrame]:
    """Measure all programs, and compare them with GELU; the winners also with ReLU and with the controls.

    sources: programs by name, gelu and relu among them. winners: names of the winner of each search; controls: those
    of them that a random search found. `reached` is called after each of `count_steps` steps.
    Returns the tables measurements, by_group, by_family (of the held-out families, if asked for), winners, and
    extrapolation: see `transfer.table` and `transfer.extrapolation`.
    """
    evaluations = evaluate_held_out(sources, fitness, sandbox, transfer, reached)
    compiled = {
        name: (compile_program(sources[name]), evaluation.admitted)
        for name, evaluation in evaluations.items()
        if evaluation.admitted
    }
    sets = data_sets(transfer)
    measured = measure_on_data(compiled, sets, transfer, lambda done, note: reached(len(sources) + done, note))
    if "held_out" in transfer.to:
        held_out = {name: list(one.measurements) for name, one in evaluations.items() if one.measurements}
        measured = {"held-out": held_out} | measured
    measurements = table.long(measured, shared_sources(sets, fitness, transfer.seed))
    compare = partial(
        table.compare,
        admitted={name: admitted for name, (_, admitted) in compiled.items()},
        draws=transfer.resamples,
        seed=transfer.seed,
    )
    tables = {"measurements": measurements, "by_group": compare(measurements, reference=REFERENCE)}
    if "held_out" in transfer.to:
        tables["by_family"] = compare(measurements.filter(group="held-out"), reference=REFERENCE, by="family")
    tables["winners"] = compare_with_rivals(measurements, winners, [REFERENCE, RELU, *controls], compare)
    drawn = {name: compiled[name] for name in [*winners, REFERENCE, RELU] if name in compiled}
    problems = extrapolation.one_input(fitness.rungs.test.families, transfer.seed, fitness.ranges)
    return {**tables, "extrapolation": extrapolation.lines(drawn, problems, fitness)}


def count_steps(sources: Mapping[str, str], transfer: Transfer) -> int:
    """The number of steps of `run_transfer`: each program once in the sandbox and once for each group of data."""
    return len(sources) * (1 + len({*transfer.to} - {"held_out"}))


def evaluate_held_out(
    sources: Mapping[str, str], fitness: Fitness, sandbox: Sandbox, transfer: Transfer, reached: Reached
) -> dict[str, Evaluation]:
    """All programs on the held-out families; where these are not asked for, through the admission tests alone."""
    name_of_set = "test" if "held_out" in transfer.to else "admit"
    evaluations: dict[str, Evaluation] = {}
    with evaluator(fitness, sandbox, transfer.seed) as evaluate:
        for name, source in sources.items():
            (evaluations[name],) = evaluate([source], name_of_set)
            reached(len(evaluations), "held-out families")
    return evaluations


def data_sets(transfer: Transfer) -> dict[str, list[DataSet]]:
    """The groups of data sets that are asked for."""
    sets: dict[str, list[DataSet]] = {}
    if "digits" in transfer.to:
        sets["digits"] = [digits(transfer.seed)]
    if "tabular" in transfer.to:
        sets["tabular"] = tabular(transfer.seed)
    return sets


def measure_on_data(
    compiled: Compiled, sets: Sets, transfer: Transfer, reached: Reached
) -> dict[str, dict[str, list[Measurement]]]:
    """The measurements on each group of data sets, by group and activation."""
    measured: dict[str, dict[str, list[Measurement]]] = {group: {} for group in sets}
    for group, of_group in sets.items():
        for name, (activation, admitted) in compiled.items():
            measured[group][name] = measure(activation, admitted, of_group, transfer.networks)
            reached(sum(map(len, measured.values())), group)
    return measured


def shared_sources(sets: Sets, fitness: Fitness, seed: int) -> dict[str, str]:
    """What problems share with others, by the problems' names: the table they were cut from, or their equation."""
    cut = [one for of_group in sets.values() for one in of_group if one.source]
    tables = {problem: one.source for one in cut for problem in one.problems.values()}
    parts = draw_trial(fitness, "test", seed).parts
    drawn = [problem for part in parts for problem in part.problems]
    return tables | {problem.name: problem.about for problem in drawn if problem.family in LISTED}


def compare_with_rivals(
    measurements: pl.DataFrame, winners: Sequence[str], rivals: Sequence[str], compare: Callable[..., pl.DataFrame]
) -> pl.DataFrame:
    """The comparisons of the winners with each rival, one below the other, with the rival's name in `rival`."""
    tables = []
    for rival in rivals:
        among = measurements.filter(pl.col("activation").is_in([*winners, rival]))
        tables.append(compare(among, reference=rival).with_columns(rival=pl.lit(rival)))
    return pl.concat(tables)
