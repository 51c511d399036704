import numpy as np
import pytest
from activations.small import fitness, rung

from arrange.activations.evaluation import REFERENCE, Evaluation, Job, Outcome
from arrange.activations.fitness.evaluator import Evaluator, best
from arrange.activations.fitness.training import fit
from arrange.activations.fitness.trial import NETWORKS, draw_trial
from arrange.activations.portfolio import gain
from arrange.activations.sandbox.work import carry_out
from arrange.activations.settings import Rungs
from arrange.errors import UserError

FITNESS = fitness()
FIRST, SEARCH = 8, 72  # member-steps
SIN = "def activation(x):\n    return torch.sin(x)\n"
GOOD = "def activation(x):\n    return F.silu(x)\n"
WILD = "def activation(x):\n    return x * x * x * x\n"
WRONG = "def activation(x):\n    return open(x)\n"


class Here:
    """Runs jobs in this process and remembers them."""

    def __init__(self, broken=None):
        self.jobs, self.broken = [], broken or {}

    def __call__(self, jobs):
        self.jobs += jobs
        return [self.broken.get((job.source, len(job.arrays) > 0)) or carry_out(job, fit, flops=100.0) for job in jobs]


def test_a_search_measures_all_on_the_first_rung_and_the_best_half_on_the_next():
    run = Here()
    found = Evaluator(run, FITNESS, seed=1)([GOOD, WILD, WRONG, SIN], "search", 0)
    wrong = found.pop(2)
    assert (wrong.fitness, wrong.reason, wrong.member_steps, wrong.measurements) == (None, "forbidden", 0, ())
    stopped = [one for one in found if one.reason == "screened"]
    assert len(stopped) == 1  # two of three, rounded up, go on
    for one in stopped:
        assert (one.fitness, one.member_steps) == (None, FIRST)
        assert one.detail.endswith("on the first rung")
        assert {each.rung for each in one.measurements} == {"first"}
        assert one.admitted is not None
    for one in found:
        if not one.reason:
            assert one.member_steps == FIRST + SEARCH
            assert [sum(each.rung == name for each in one.measurements) for name in ("first", "search")] == [2, 12]
    assert sum(job.settings["steps"] == 6 for job in run.jobs if job.source != REFERENCE) == 2


def test_the_best_are_a_share_of_those_with_a_score_rounded_up_and_the_first_of_equals():
    told = [Evaluation(score, "", "", 0) for score in (0.1, None, 0.3, 0.1, 0.2)]
    assert [best(told, share) for share in (0.01, 0.25, 0.5, 0.75, 0.99)] == [[2], [2], [2, 4], [0, 2, 4], [0, 2, 3, 4]]
    assert best(told[1:2], 0.5) == []


def test_fitness_is_the_gain_to_the_portfolio():
    evaluate = Evaluator(Here(), FITNESS, seed=1)
    alone = {source: evaluate([source], "confirm")[0].measurements for source in (REFERENCE, GOOD, SIN)}
    (to_gelu,), (to_both,) = evaluate([SIN], "confirm"), evaluate([SIN], "confirm", None, [REFERENCE, GOOD])
    members = {REFERENCE: alone[REFERENCE]}
    assert to_gelu.fitness == gain(members, alone[SIN])
    assert to_both.fitness == gain(members | {GOOD: alone[GOOD]}, alone[SIN])
    assert to_gelu.measurements == to_both.measurements == alone[SIN]


def test_a_member_is_measured_once_costs_nothing_and_gains_nothing():
    run = Here()
    evaluate = Evaluator(run, FITNESS, seed=1)
    gelu, sin, good = evaluate([REFERENCE, SIN, GOOD], "confirm", 1, [REFERENCE, SIN])
    assert [(one.fitness, one.member_steps, len(one.measurements)) for one in (gelu, sin)] == [(0.0, 0, 12)] * 2
    assert good.member_steps == 72
    evaluate([SIN], "confirm", 1, [REFERENCE, SIN])
    evaluate([SIN], "confirm", 0, [REFERENCE, SIN])
    assert [job.source for job in run.jobs] == [REFERENCE, SIN, GOOD, REFERENCE, SIN]


def test_a_side_has_every_second_family_and_the_problems_of_the_whole():
    names = {
        side: [p.name for part in draw_trial(FITNESS, "confirm", 1, side).parts for p in part.problems]
        for side in (0, 1, None)
    }
    assert {name.split()[0] for name in names[0]} == {"polynomials", "harmonics"}
    assert {name.split()[0] for name in names[1]} == {"feynman", "noise"}
    assert [len(names[side]) for side in (0, 1, None)] == [6, 6, 6]
    points = {
        side: {
            row.tobytes() for part in draw_trial(FITNESS, "confirm", 1, side).parts for row in part.arrays["train_x"]
        }
        for side in (0, 1, None)
    }
    assert points[None] < points[0] | points[1]
    assert not points[0] & points[1]


def test_neither_company_nor_order_changes_an_evaluation_that_is_no_choice():
    together = Evaluator(Here(), FITNESS, seed=1)([GOOD, WILD, SIN, WRONG], "confirm", 0)
    other = Evaluator(Here(), FITNESS, seed=1)
    other([SIN], "validate")
    alone = [other([source], "confirm", 0)[0] for source in (WRONG, SIN, WILD, GOOD)]
    assert together == alone[::-1]


def test_confirming_has_fresh_problems_and_fresh_first_weights_and_the_first_rung_does_not():
    drawn = {name: draw_trial(FITNESS, name, seed=1) for name in Rungs.names()}
    points = {
        name: {row.tobytes() for part in one.parts for row in part.arrays["train_x"]} for name, one in drawn.items()
    }
    keys = {name: {key for part in one.parts for key in part.arrays["keys"].flat} for name, one in drawn.items()}
    assert len(keys["search"]) == 12
    assert points["first"] < points["search"]
    assert keys["first"] < keys["search"]
    assert not points["confirm"] & (points["search"] | points["test"])
    assert not keys["confirm"] & (keys["search"] | keys["test"])
    other = draw_trial(FITNESS, "search", seed=2)
    assert not points["search"] & {row.tobytes() for part in other.parts for row in part.arrays["train_x"]}


def test_no_target_that_is_scored_goes_into_a_job():
    run = Here()
    Evaluator(run, FITNESS, seed=1)([SIN], "test")
    hidden = {
        value
        for part in draw_trial(FITNESS, "test", seed=1).parts
        for problem in part.problems
        for value in (*problem.valid_y_N.tolist(), *problem.ood_y_N.tolist())
    }
    assert len(hidden) > 100
    for job in run.jobs:
        assert set(job.arrays) == {"train_x", "train_y", "valid_x", "ood_x", "inputs", "keys"}
        for name, array in job.arrays.items():
            assert name == "keys" or not hidden & set(array.astype(float).flat)


def test_a_large_rung_is_cut_into_jobs_with_few_networks_and_put_together_again():
    large = fitness(confirm=rung(9, NETWORKS // 4, 2))
    run = Here()
    (found,) = Evaluator(run, large, seed=1)([SIN], "confirm")
    jobs = [job.arrays["keys"].shape for job in run.jobs if job.source == SIN]
    assert jobs == [(4, NETWORKS // 4), (4, NETWORKS // 4), (1, NETWORKS // 4)]
    assert len({(one.problem, one.seed) for one in found.measurements}) == 9 * (NETWORKS // 4)
    assert found.member_steps == 9 * (NETWORKS // 4) * 2
    drawn = draw_trial(large, "confirm", seed=1)
    backwards = [carry_out(job, fit, flops=100.0) for job in drawn.jobs(SIN)]
    assert found.measurements == tuple(drawn.measurements(backwards))


def test_the_reference_is_measured_once_a_rung():
    run = Here()
    evaluate = Evaluator(run, FITNESS, seed=1)
    evaluate([SIN], "confirm")
    evaluate([GOOD, SIN], "confirm")
    assert [job.source for job in run.jobs] == [REFERENCE, SIN, GOOD, SIN]


def test_admission_alone_trains_nothing_and_costs_nothing():
    run = Here()
    sin, wrong = Evaluator(run, FITNESS, seed=1)([SIN, WRONG], "admit")
    assert (sin.fitness, sin.reason, sin.member_steps, sin.measurements) == (None, "", 0, ())
    assert sin.admitted.flops == 10
    assert wrong.reason == "forbidden"
    assert run.jobs == [Job(SIN), Job(WRONG)]


@pytest.mark.parametrize(
    ("outcome", "reason", "member_steps"),
    [
        (Outcome("cpu", "60 s"), "cpu", FIRST),
        (Outcome("crashed", "signal 11"), "crashed", FIRST),
        (Outcome("not_finite", "at 1e4"), "not_finite", 0),
        (Outcome(arrays={"train": np.zeros(3)}), "output", FIRST),
    ],
)
def test_one_that_the_sandbox_stopped_pays_for_the_rung_and_has_no_score(outcome, reason, member_steps):
    run = Here({(SIN, True): outcome})
    found, other = Evaluator(run, FITNESS, seed=1)([SIN, GOOD], "search")
    assert (found.fitness, found.reason, found.member_steps) == (None, reason, member_steps)
    assert other.reason == ""


def test_a_reference_that_cannot_be_measured_is_told_in_two_lines():
    with pytest.raises(
        UserError, match=r"portfolio's activation could not be measured: memory 1 GiB\nraise the sandbox's limits"
    ):
        Evaluator(Here({(REFERENCE, True): Outcome("memory", "1 GiB")}), FITNESS, seed=1)([SIN], "search")
    with pytest.raises(UserError, match=r"could not be measured: output"):
        Evaluator(Here({(REFERENCE, True): Outcome()}), FITNESS, seed=1)([SIN], "search")
