import pytest
from sections import changed

from settings import params
from tasks import report


def settings(*assignments):
    return params.validate(changed(*assignments), "params.yaml")


@pytest.mark.parametrize(
    ("reference", "shown"),
    [("item", ["item", "combined", "copy"]), ("ntp", ["ntp", "combined", "copy"]), ("absent", ["combined", "copy"])],
)
def test_the_reference_stands_beside_the_best_of_its_kind_and_of_the_others(reference, shown):
    means = {"ntp": 0.1, "item": 0.2, "combined": 0.3, "bm25": 0.4, "copy": 0.5, "random": 0.6, "root_first": 0.7}
    metrics = {system: {"nDCG@10": {"mean": mean}} for system, mean in means.items()}
    assert report.chosen(metrics, ["ntp", "item", "combined"], reference) == shown


def test_products_have_escis_labels_and_teachers_none():
    names = {100: "exact", 10: "substitute", 1: "complement", 0: "irrelevant"}
    assert report.tiers("products", settings()) == names
    assert report.tiers("wordnet", settings()) == {}
    assert report.tiers("products", settings(("prepare_esci.truth", "teacher"))) == {}
    equal = settings(("prepare_esci.gains", {"E": 2, "S": 1, "C": 1, "I": 0}))
    assert report.tiers("products", equal) == {2: "exact", 1: "substitute or complement", 0: "irrelevant"}


def test_the_run_is_told_by_its_rankers():
    rankers = {
        f"wordnet-{loss}-{seed}": {"data": "wordnet", "docids": "text", "loss": loss, "seed": seed}
        for loss, seed in (("plackett_luce", 2), ("plackett_luce", 1), ("geometric", 1))
    }
    told = report.this_run(settings(("rankers", rankers), ("baselines", {}), ("prompt.regime", "in_context")))
    assert "the regime `in_context`, measured on the test queries" in told
    assert told.splitlines()[-2:] == [
        "| plackett_luce | wordnet | text | combined, plackett_luce 1, alpha 0, beta 1 | 1, 2 |",
        "| geometric | wordnet | text | geometric, rho 0.7 | 1 |",
    ]
