"""The sections of the page: what they say, and that each says why it has no table."""

from dataclasses import replace

import polars as pl
import pytest
from small_results import RANKERS, write_results

from arrange.errors import UserError
from arrange.evaluation import statistics
from arrange.report import rankers_page as page
from arrange.report.results import read_results
from arrange.training.losses import Combined, Item, Ntp, Prefix, Terms
from arrange.training.terms import Teacher

CONDITIONS = page.Conditions(regime="corpus", split="test", reference="item", neighbours=10)
ITEM = page.Ranker("text", "corpus", {"rule": "item", "alpha": 1.0}, {"wordnet-item": 1, "wordnet-item-2": 2})


@pytest.fixture
def results(tmp_path):
    write_results("wordnet", tmp_path / "wordnet")
    return read_results(tmp_path / "wordnet", [name for name in RANKERS if name.startswith("wordnet")])


@pytest.mark.parametrize(
    ("reference", "shown"),
    [("item", ["item", "combined", "copy"]), ("ntp", ["ntp", "combined", "copy"]), ("absent", ["combined", "copy"])],
)
def test_the_reference_stands_beside_the_best_of_its_kind_and_of_the_others(reference, shown):
    means = {"ntp": 0.1, "item": 0.2, "combined": 0.3, "bm25": 0.4, "copy": 0.5, "random": 0.6, "root_first": 0.7}
    metrics = {system: {"nDCG@10": {"mean": mean}} for system, mean in means.items()}
    assert page.chosen(metrics, ["ntp", "item", "combined"], reference) == shown


def test_a_loss_is_its_rule_and_what_is_not_default():
    assert page.loss_of(Ntp()) == {"rule": "ntp"}
    assert page.loss_of(Item(alpha=1.0)) == {"rule": "item", "alpha": 1.0}
    loss = page.loss_of(Combined(alpha=0.0, beta=1.0, terms=Terms(plackett_luce=1.0), normalised=False))
    assert loss == {"rule": "combined", "normalised": False, "terms.plackett_luce": 1.0, "alpha": 0.0, "beta": 1.0}


TERMS = Terms(hinge=1.0, prefix=Prefix(pairs="hinge"))


def test_this_run_is_its_rankers():
    combined = page.Ranker(
        "text", "corpus", page.loss_of(Combined(alpha=0.0, beta=1.0, terms=TERMS)), {"a-2": 2, "a": 1}
    )
    text = page.this_run(
        {"zoo": {"pl": combined}, "mine": {"ntp": page.Ranker("rq", "corpus", {"rule": "ntp"}, {"b": 3})}}, CONDITIONS
    )
    assert "the regime `corpus`, measured on the test queries" in text
    assert text.splitlines()[-2:] == [
        "| pl | zoo | text | combined, terms.hinge 1, terms.prefix.pairs hinge, alpha 0, beta 1 | 1, 2 |",
        "| ntp | mine | rq | ntp | 3 |",
    ]


def test_columns_are_those_of_the_data_set(results):
    lists = ["nDCG@10", "overlap@1", "overlap@3", "overlap@5", "R@10", "tau_b"]
    assert page.columns_of(results, "corpus") == [*lists, "prior", "prior_tau_b"]
    assert page.columns_of(results, "in_context") == [*lists, "CVR", "prior", "prior_tau_b"]
    tiers = replace(results, about=replace(results.about, measures=("AP", "CVR")))
    assert page.columns_of(tiers, "in_context") == ["AP", "CVR", "prior"]
    with pytest.raises(UserError, match=r"'nDCG@100'\ntake some of nDCG@10, "):
        page.columns_of(replace(results, about=replace(results.about, measures=("nDCG@100",))), "corpus")


def test_the_judged_lists_have_the_measures_of_order(results):
    columns = page.judged(results).split("\n\n")[2].splitlines()[0]
    assert columns == "| | nDCG@10 | overlap@1 | overlap@3 | overlap@5 | tau_b | CVR |"  # without R@10
    none = {"mean": None, "low": None, "high": None}
    judged = {system: {**row, "CVR": none} for system, row in results.judged.items()}
    assert "CVR" not in page.judged(replace(results, judged=judged))


def test_the_data_set_says_itself_what_it_is(results):
    about = replace(results.about, title="Birds of Crete.", note="Songs alone.")
    text = page.about(replace(results, about=about), {"item": ITEM}, CONDITIONS)
    assert text.startswith("Birds of Crete. Songs alone. Regime `corpus`. 20 test queries; ")
    assert text.endswith("it is that of queries given these seeds.")
    one_seed = page.about(results, {"item": replace(ITEM, seeds={"wordnet-item": 1})}, CONDITIONS)
    assert "One training seed" in one_seed


def test_a_reference_that_is_not_there_is_named_with_the_systems_that_are(results):
    text = page.compared(replace(results, differences=pl.DataFrame(schema=statistics.DIFFERENCES)), "best")
    assert "No significance tests: `wordnet` has no system `best` (evaluate.reference)" in text
    assert text.endswith("its systems: ntp, item, bm25, random.")
    assert "| ntp | -0.125 (-0.250 to -0.062), p 0.004 |" in page.compared(results, "item")


def test_queries_of_one_kind_and_of_none(results):
    one = results.groups.filter(group="us")
    for groups in (one, one.clear()):
        assert page.grouped(replace(results, groups=groups)).endswith("No table: the queries are all of one kind.")
    assert "By locale (number of queries):" in page.grouped(results)


def test_no_diagnostics_in_context_nor_of_0_queries(results):
    without = replace(results, diagnostics={"wordnet-ntp": {}, "wordnet-item": {}})
    assert "No table: in context every candidate is scored" in page.diagnostics(without, "in_context")
    assert "rank.diagnosed is 0" in page.diagnostics(without, "corpus")
    assert "### Search diagnostics, 8 queries" in page.diagnostics(results, "corpus")


def test_no_ranker_no_curves(results, tmp_path):
    text = page.training(replace(results, histories={}), tmp_path)
    assert text.endswith("No curves: no ranker was trained on this data set.")
    assert not list(tmp_path.glob("*.png"))


def test_one_checkpoint_has_a_dash_that_is_explained(results, tmp_path):
    histories = {name: history.head(1) for name, history in results.histories.items()}
    text = page.training(replace(results, histories=histories), tmp_path)
    assert "| wordnet-ntp | 1 | - |" in text
    assert "A dash: there are fewer than three" in text


def test_maps_are_drawn_where_the_rankers_span_a_grid(results, tmp_path):
    def ranker(alpha, beta, **more):
        return page.Ranker("text", "corpus", {"rule": "combined", "alpha": alpha, "beta": beta, **more}, {})

    grid = {"ntp": ranker(0.0, 0.0), "item": ranker(0.0, 1.0), "bm25": ranker(1.0, 0.0), "random": ranker(1.0, 1.0)}
    assert len(page.maps(results, grid, tmp_path)) == 1 + 3
    assert len(list(tmp_path.glob("wordnet-map-*.png"))) == 3
    assert page.maps(results, {"ntp": grid["ntp"], "item": grid["item"]}, tmp_path) == []
    assert page.maps(results, dict.fromkeys(grid, ranker(0.0, 1.0, gamma=0.5)), tmp_path) == []


def test_systems_have_their_kind():
    kinds = page.kinds(["item", "bm25", "random"], ["item"])
    assert list(kinds.values()) == ["ranker", "baseline, fusion or control", "control, given the true set"]


def test_a_part_of_a_loss_is_told_by_what_is_not_its_default():
    loss = Item(alpha=1.0, teacher=Teacher(term="ranknet", weight=0.5))
    assert page.loss_of(loss) == {"rule": "item", "alpha": 1.0, "teacher.term": "ranknet", "teacher.weight": 0.5}
    ranker = page.Ranker("text", "corpus", page.loss_of(loss), {"a": 1})
    text = page.this_run({"d": {"a": ranker}}, page.Conditions("corpus", "test", "a", 5))
    assert "| item, teacher.term ranknet, teacher.weight 0.5, alpha 1 |" in text


def test_codes_have_a_table_by_level_and_other_docids_none():
    shape = {"codes_used_by_level": [256, 9], "perplexity_by_level": [181.2, 8.0], "collisions_by_level": [1813, 160]}
    lines = page.levels(shape).strip().splitlines()
    assert lines[0] == "| level | codes used | perplexity | collisions | reconstruction error |"
    assert lines[2:4] == ["| 1 | 256 | 181.2 | 1,813 | - |", "| 2 | 9 | 8.0 | 160 | - |"]
    assert "| 1 | 256 | 181.2 | 1,813 | 0.25 |" in page.levels(shape | {"reconstruction_error_by_level": [0.25, 0.1]})
    assert page.levels({"documents": 3}) == ""
