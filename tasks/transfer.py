"""Stage `transfer`: the best found functions and the known ones, once, on what no search saw."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from arrange.activations.entrants import programs
from arrange.activations.evaluation import Activation, Admitted, Evaluation, Measurement
from arrange.activations.evaluator import laboratory, protocol
from arrange.activations.fitness.trial import trial
from arrange.activations.problems.draw import LISTED
from arrange.activations.programs.check import compile_program
from arrange.activations.transfer import extrapolation, table
from arrange.activations.transfer.digits import digits
from arrange.activations.transfer.networks import DataSet, Training, measure
from arrange.activations.transfer.tabular import tabular
from arrange.files import replacing
from settings import params
from settings.sections import Settings
from tasks import stage

REFERENCE = "gelu"
Entrants = Mapping[str, tuple[Activation, Admitted]]


def transfer() -> None:
    """activations/found/ -> activations/transfer/: measurements, comparisons, lines beyond the training box."""
    settings = params.read()
    finalists = pl.read_parquet(Path("activations", "found", "finalists.parquet"))
    sources = programs(("found", "classical", "mined"), finalists, settings.transfer.found)
    evaluations = in_laboratory(sources, settings)
    entrants = {
        name: (compile_program(sources[name]), one.admitted) for name, one in evaluations.items() if one.admitted
    }
    sets = data_sets(settings)
    by_group = {**held_out(evaluations, settings), **on_data(entrants, sets, settings)}
    measured = table.long(by_group, shared(sets, settings))
    admitted = {name: one for name, (_, one) in entrants.items()}
    winners = finalists.filter("winner")["name"].to_list()
    with replacing(Path("activations", "transfer")) as part:
        part.mkdir(parents=True)
        measured.write_parquet(part / "measurements.parquet")
        compare = partial(table.compare, draws=settings.transfer.resamples, seed=settings.transfer.seed)
        compare(measured, admitted, REFERENCE).write_parquet(part / "by_group.parquet")
        if "held_out" in settings.transfer.to:
            families = compare(measured.filter(group="held-out"), admitted, REFERENCE, "family")
            families.write_parquet(part / "by_family.parquet")
        controls = [name for name in winners if is_control(name, finalists, settings)]
        rivals = against([REFERENCE, "relu", *controls], winners, measured, partial(compare, admitted=admitted))
        rivals.write_parquet(part / "winners.parquet")
        lines(entrants, [*winners, REFERENCE, "relu"], settings).write_parquet(part / "extrapolation.parquet")


def in_laboratory(sources: Mapping[str, str], settings: Settings) -> dict[str, Evaluation]:
    """All programs on the held-out families, or, where these aren't asked for, through admission alone."""
    asked = "test" if "held_out" in settings.transfer.to else "admit"
    with (
        laboratory(settings.fitness.model_dump(), settings.transfer.seed, **settings.sandbox.model_dump()) as evaluate,
        stage.progress(len(sources), "activations") as reached,
    ):
        found = {}
        for name, source in sources.items():
            (found[name],) = evaluate([source], asked)
            reached(len(found), "held-out families")
    return found


def held_out(evaluations: Mapping[str, Evaluation], settings: Settings) -> dict[str, dict[str, list[Measurement]]]:
    """The measurements on held-out families, as a group, where these are asked for."""
    if "held_out" not in settings.transfer.to:
        return {}
    return {"held-out": {name: list(one.measurements) for name, one in evaluations.items() if one.measurements}}


def data_sets(settings: Settings) -> dict[str, list[DataSet]]:
    """The digits and the tables, each a group, where these are asked for."""
    how = settings.transfer
    sets: dict[str, list[DataSet]] = {}
    if "digits" in how.to:
        sets["digits"] = [digits(how.seed)]
    if "tabular" in how.to:
        sets["tabular"] = tabular(how.seed)
    return sets


def shared(sets: Mapping[str, Sequence[DataSet]], settings: Settings) -> dict[str, str]:
    """What problems share with others, by their names: the table that they were cut from, the equation of physics."""
    cut = [one for of_group in sets.values() for one in of_group if one.source]
    tables = {problem: one.source for one in cut for problem in one.problems.values()}
    test = trial(protocol(**settings.fitness.model_dump()), "test", settings.transfer.seed)
    drawn = [problem for part in test.parts for problem in part.problems]
    return tables | {problem.name: problem.about for problem in drawn if problem.family in LISTED}


def on_data(
    entrants: Entrants, sets: Mapping[str, Sequence[DataSet]], settings: Settings
) -> dict[str, dict[str, list[Measurement]]]:
    """The measurements on digits and tables, each a group."""
    training = Training(**settings.transfer.networks.model_dump())
    with stage.progress(len(sets) * len(entrants), "activations") as reached:
        measured: dict[str, dict[str, list[Measurement]]] = {group: {} for group in sets}
        for group, of_group in sets.items():
            for name, (activation, admitted) in entrants.items():
                measured[group][name] = measure(activation, admitted, of_group, training)
                reached(sum(map(len, measured.values())), group)
    return measured


def against(
    rivals: Sequence[str], winners: Sequence[str], measured: pl.DataFrame, compare: Callable[..., pl.DataFrame]
) -> pl.DataFrame:
    """The winners of the searches against each of these, one table below the other, its name in the column `rival`."""
    tables = []
    for rival in rivals:
        among = measured.filter(pl.col("activation").is_in([*winners, rival]))
        tables.append(compare(among, reference=rival).with_columns(rival=pl.lit(rival)))
    return pl.concat(tables)


def is_control(name: str, finalists: pl.DataFrame, settings: Settings) -> bool:
    """Whether a finalist is of a random search."""
    search = finalists.row(by_predicate=pl.col("name") == name, named=True)["search"]
    return settings.searches[search].arm == "random"


def lines(entrants: Entrants, names: list[str], settings: Settings) -> pl.DataFrame:
    """What networks with these activations say beyond the training box, one problem of each held-out family."""
    measuring, seed = protocol(**settings.fitness.model_dump()), settings.transfer.seed
    test = measuring.rungs["test"]
    problems = extrapolation.one_input(test.families, seed, measuring.ranges)
    told = {**vars(measuring.training), "steps": test.steps, "rates": test.rates[len(test.rates) // 2 :][:1]}
    chosen = {name: entrants[name] for name in names if name in entrants}
    return extrapolation.lines(chosen, problems, told, test.seeds)


if __name__ == "__main__":
    stage.run(transfer)
