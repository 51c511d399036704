"""The transfer test: portfolios, found and known activations, once, on what no search saw."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import polars as pl

from arrange.activations import portfolio
from arrange.activations.evaluation import Activation, Admitted, Evaluation, Measurement
from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.fitness.learned import KINDS, measure_learned
from arrange.activations.fitness.scoring import fitness_of
from arrange.activations.fitness.trial import draw_trial
from arrange.activations.portfolio import CLASSICAL, control, titled
from arrange.activations.problems.families import LISTED
from arrange.activations.programs.check import compile_program
from arrange.activations.settings import Fitness, Sandbox, Transfer
from arrange.activations.transfer import extrapolation, table
from arrange.activations.transfer.digits import digits
from arrange.activations.transfer.networks import DataSet, measure
from arrange.activations.transfer.tabular import tabular

REFERENCE = "gelu"
HELD_OUT = "held-out"
Reached = Callable[[int, str], object]  # called with the number of steps done and what was done
Compiled = Mapping[str, tuple[Activation, Admitted]]  # by name
Sets = Mapping[str, Sequence[DataSet]]  # by group
Groups = dict[str, dict[str, list[Measurement]]]  # by group and activation
Portfolios = Mapping[str, Sequence[str]]  # the names of the members, in order, GELU first


def run_transfer(
    sources: Mapping[str, str],
    portfolios: Portfolios,
    controls: Sequence[str],
    fitness: Fitness,
    sandbox: Sandbox,
    transfer: Transfer,
    reached: Reached = lambda done, note: None,
) -> dict[str, pl.DataFrame]:
    """Measure all programs once; compare them, and the portfolios of them, with GELU and with the controls.

    sources: programs by name, all members and those of CLASSICAL among them. portfolios: the members that each search
    found. controls: those of the portfolios that a random search found. `reached` is called after each of
    `count_steps` steps. Returns the tables measurements, by_group, portfolios (against each rival), picks, growth,
    extrapolation: see `transfer.table`, `what_is_picked`, `growth` and `transfer.extrapolation`. Where held-out
    families are asked for, there are by_family, and learned: LA and MoA over the classical portfolio, one network of
    each and the best of as many as it has members, against each rival.
    """
    evaluations = evaluate_held_out(sources, fitness, sandbox, transfer, reached)
    compiled = {
        name: (compile_program(sources[name]), evaluation.admitted)
        for name, evaluation in evaluations.items()
        if evaluation.admitted and not evaluation.reason
    }
    sets = data_sets(transfer)
    everyone = {name: usable(members, compiled) for name, members in {**portfolios, **CLASSICAL}.items()}
    measured: Groups = {}
    if "held_out" in transfer.to:
        measured[HELD_OUT] = {name: list(one.measurements) for name, one in evaluations.items() if one.measurements}
        measured[HELD_OUT] |= learn(
            *(compiled, everyone["classical"], fitness, transfer),
            lambda more, note: reached(len(sources) + more, note),
        )
    done = count_steps(sources, transfer) - len(sources) * len(sets)
    measured |= measure_on_data(compiled, sets, transfer, lambda more, note: reached(done + more, note))
    size = max(map(len, everyone.values()))
    joint = {group: as_activations(of_group, everyone, size) for group, of_group in measured.items()}
    measurements = table.long(
        {group: measured[group] | joint[group] for group in measured}, shared_sources(sets, fitness, transfer.seed)
    )
    costs = cost(compiled, everyone, size)
    compare = partial(table.compare, admitted=costs, draws=transfer.resamples, seed=transfer.seed)
    tables = {"measurements": measurements, "by_group": compare(measurements, reference=REFERENCE)}
    if "held_out" in transfer.to:
        held_out = measurements.filter(group=HELD_OUT)
        tables["by_family"] = compare(held_out, reference=REFERENCE, by="family")
        count = len(everyone["classical"])
        learned = [name for kind in KINDS for name in (kind, control(count, kind))]
        rivals = [REFERENCE, control(count), titled("classical")]
        tables["learned"] = compare_with_rivals(held_out, learned, rivals, compare)
    rivals = [REFERENCE, control(size), titled("classical"), *map(titled, controls)]
    subjects = [*map(titled, everyone), control(size)]
    tables["portfolios"] = compare_with_rivals(measurements, subjects, rivals, compare)
    tables["picks"] = what_is_picked(measured, everyone)
    tables["growth"] = growth(measured, everyone, size)
    drawn = dict.fromkeys(member for members in everyone.values() for member in members)
    problems = extrapolation.one_input(fitness.rungs.test.families, transfer.seed, fitness.ranges)
    return {**tables, "extrapolation": extrapolation.lines({n: compiled[n] for n in drawn}, problems, fitness)}


def usable(members: Sequence[str], compiled: Compiled) -> list[str]:
    """The members that could be measured."""
    return [member for member in members if member in compiled]


def learn(
    compiled: Compiled, dictionary: Sequence[str], fitness: Fitness, transfer: Transfer, reached: Reached
) -> dict[str, list[Measurement]]:
    """LA and MoA over these activations, on the held-out families."""
    functions = [compiled[name][0] for name in dictionary]
    measured: dict[str, list[Measurement]] = {}
    for kind in KINDS:
        measured[kind] = measure_learned(kind, functions, fitness, transfer.seed)
        reached(len(measured), f"{kind} on held-out families")
    return measured


def cost(compiled: Compiled, portfolios: Portfolios, size: int) -> dict[str, Admitted]:
    """What everyone of the tables costs, by title. LA and MoA compute all functions of the classical portfolio."""
    costs = {name: one for name, (_, one) in compiled.items()}
    costs |= {titled(name): together([costs[member] for member in members]) for name, members in portfolios.items()}
    costs |= dict.fromkeys(KINDS, costs[titled("classical")])
    counts = {size, len(portfolios["classical"])}
    names = (REFERENCE, *KINDS)
    return costs | {control(count, name): together([costs[name]] * count) for name in names for count in counts}


def together(members: Sequence[Admitted]) -> Admitted:
    """What a portfolio's networks cost together; it is pointwise if all its members are."""
    return Admitted(sum(one.flops for one in members), all(one.pointwise for one in members), 1.0, ())


def as_activations(
    measured: Mapping[str, list[Measurement]], portfolios: Portfolios, size: int
) -> dict[str, list[Measurement]]:
    """The portfolios and the controls of equal training as if each were one activation, by their titles.

    A control takes the best of as many seeds of GELU as the largest portfolio has members, or of all where there are
    fewer. Where LA and MoA were measured, there are controls of as many networks as the classical portfolio has members
    too, of GELU and of both.
    """
    joint = {
        titled(name): portfolio.measurements({member: measured[member] for member in members})
        for name, members in portfolios.items()
    }
    counts = [(REFERENCE, size)]
    if learned := [kind for kind in KINDS if kind in measured]:
        counts += [(name, len(portfolios["classical"])) for name in (REFERENCE, *learned)]
    seeds = len({one.seed for one in measured[REFERENCE]})
    return joint | {
        control(count, name): portfolio.best_of_seeds(measured[name], min(count, seeds)) for name, count in counts
    }


def what_is_picked(measured: Groups, portfolios: Portfolios) -> pl.DataFrame:
    """How often validation picks each member: PICKS, one row per portfolio, group, family and member."""
    rows = [
        (name, group, family, member, share)
        for name, members in portfolios.items()
        for group, of_group in measured.items()
        for family, shares in portfolio.picks({member: of_group[member] for member in members}).items()
        for member, share in shares.items()
    ]
    return pl.DataFrame(rows, PICKS, orient="row")


PICKS = pl.Schema(dict.fromkeys(("portfolio", "group", "family", "activation"), pl.String()) | {"share": pl.Float64()})


def growth(measured: Groups, portfolios: Portfolios, size: int) -> pl.DataFrame:
    """The mean log-ratio to GELU of the first members of each portfolio, and of the best of as many GELU seeds: GROWTH.

    Families are weighted equally. Below 0 is better than one network with GELU.
    """
    rows = []
    for group, of_group in measured.items():
        gelu = of_group[REFERENCE]
        for name, members in portfolios.items():
            for count in range(1, len(members) + 1):
                some = portfolio.measurements({member: of_group[member] for member in members[:count]})
                rows.append((name, group, count, -fitness_of(some, gelu)))
        for count in range(1, min(size, len({one.seed for one in gelu})) + 1):
            rows.append(("gelu seeds", group, count, -fitness_of(portfolio.best_of_seeds(gelu, count), gelu)))
    return pl.DataFrame(rows, GROWTH, orient="row")


GROWTH = pl.Schema({"portfolio": pl.String(), "group": pl.String(), "size": pl.Int64(), "log_ratio": pl.Float64()})


def count_steps(sources: Mapping[str, str], transfer: Transfer) -> int:
    """The number of steps of `run_transfer`: each program once in the sandbox and once for each group of data.

    On the held-out families LA and MoA are a step each.
    """
    learned = len(KINDS) if "held_out" in transfer.to else 0
    return learned + len(sources) * (1 + len({*transfer.to} - {"held_out"}))


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


def measure_on_data(compiled: Compiled, sets: Sets, transfer: Transfer, reached: Reached) -> Groups:
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
    measurements: pl.DataFrame, subjects: Sequence[str], rivals: Sequence[str], compare: Callable[..., pl.DataFrame]
) -> pl.DataFrame:
    """The comparisons of the subjects with each rival, one below the other, with the rival's name in `rival`."""
    tables = []
    for rival in rivals:
        among = measurements.filter(pl.col("activation").is_in([*subjects, rival]))
        tables.append(compare(among, reference=rival).with_columns(rival=pl.lit(rival)))
    return pl.concat(tables)
