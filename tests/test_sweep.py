"""A sweep's cells: which losses and rankers a grid of loss parameters stands for."""

import copy

import pytest
import yaml
from sections import SECTIONS

from arrange.errors import UserError
from flows.compare import cells
from settings import params
from settings.sections import systems

GRID = {"data": "wordnet", "docids": "text", "seeds": [1], "alpha": [], "beta": [], "gamma": [], "rho": []}


def swept(overrides=None, **grid):
    """The cells of a grid, and the settings that they give."""
    overrides = params.merge({"sweep": GRID | grid}, overrides or {})
    found = cells(params.effective(SECTIONS, None, overrides))
    return found, params.validate(params.effective(SECTIONS, None, params.merge(overrides, found)), "")


def swept_from(sections):
    """The sections with the cells of their own sweep over them, and the settings that they are."""
    found = params.apply(sections, cells(sections))
    return found, params.validate(found, "")


def combined(alpha, beta, gamma=1.0):
    return {"rule": "combined", "alpha": alpha, "beta": beta, "gamma": gamma}


def test_alpha_and_beta_are_a_grid_with_a_ranker_for_each_seed():
    found, settings = swept(alpha=[0.0, 0.5], beta=[1.0, float("inf")], seeds=[3, 7])
    assert found["losses"] == {
        "combined-a0-b1-g1": combined(0.0, 1.0),
        "combined-a0-binf-g1": combined(0.0, float("inf")),
        "combined-a0_5-b1-g1": combined(0.5, 1.0),
        "combined-a0_5-binf-g1": combined(0.5, float("inf")),
    }
    assert {name: (ranker.loss, ranker.seed) for name, ranker in settings.rankers.items()} == {
        f"wordnet-{loss}-{seed}": (loss, seed) for loss in found["losses"] for seed in (3, 7)
    }
    assert {(ranker.data, ranker.docids) for ranker in settings.rankers.values()} == {("wordnet", "text")}
    assert {catalogue.data for catalogue in settings.catalogues.values()} == {"wordnet"}
    assert {loss: list(runs.values()) for loss, runs in systems(settings.rankers, "wordnet").items()} == {
        loss: [3, 7] for loss in found["losses"]
    }


def test_gamma_is_a_row_of_its_own_and_rho_another_loss():
    found, _ = swept(gamma=[0.0, 0.5], rho=[0.25, 0.9])
    assert found["losses"] == {
        "combined-a0-b1-g0": combined(0.0, 1.0, 0.0),
        "combined-a0-b1-g0_5": combined(0.0, 1.0, 0.5),
        "geometric-r0_25": {"rule": "geometric", "rho": 0.25},
        "geometric-r0_9": {"rule": "geometric", "rho": 0.9},
    }


def test_a_cell_that_two_rows_have_is_trained_once():
    found, _ = swept(alpha=[0.0], beta=[1.0], gamma=[1.0, 0.5])
    assert list(found["losses"]) == ["combined-a0-b1-g1", "combined-a0-b1-g0_5"]


def test_the_projects_own_grid():
    grid = SECTIONS["sweep"]
    found, settings = swept(**grid)
    assert len(found["losses"]) == len(grid["alpha"]) * len(grid["beta"]) + len(grid["gamma"]) + len(grid["rho"])
    assert len(settings.rankers) == len(found["losses"]) * len(grid["seeds"])
    assert found["evaluate"]["reference"] in found["losses"]  # what the others are tested against is one of them


def test_what_the_sections_have_is_left_out_and_choices_are_made_by_validation():
    _, settings = swept(alpha=[1.0], beta=[1.0])
    assert list(settings.rankers) == ["wordnet-combined-a1-b1-g1-1"]
    assert settings.baselines == {}
    assert [*settings.datasets] == ["wordnet"]
    assert settings.rank.split == "validation"
    assert set(SECTIONS["losses"]) <= set(settings.losses)


def test_rankers_that_an_override_names_are_left_out_too():
    dual = {"kind": "dual", "data": "wordnet", "docids": "text", "model": "base_models/scratch", "width": 8, "seed": 1}
    fusion = {"data": "wordnet", "first": "bm25", "second": "wordnet-again"}
    again = {"data": "wordnet", "docids": "text", "ranker": "wordnet-item", "first": "/run.txt", "depth": 9}
    seed = {"rankers": {"wordnet-item": {"seed": 2}}, "baselines": {"wordnet-dual": dual}}
    seed |= {"fusions": {"wordnet-both": fusion}, "reranked": {"wordnet-again": again}}
    _, settings = swept(seed, alpha=[1.0], beta=[1.0])
    assert list(settings.rankers) == ["wordnet-combined-a1-b1-g1-1"]
    assert settings.baselines == settings.fusions == settings.reranked == {}


def test_a_sweep_over_own_data(tmp_path):
    (tmp_path / "zoo").mkdir()
    given = copy.deepcopy(SECTIONS) | {"sweep": GRID | {"alpha": [1.0], "beta": [1.0]}}
    own = params.with_own_data(given, tmp_path / "zoo")
    chosen = params.effective(given, None, own)
    settings = params.validate(params.effective(given, None, params.merge(own, cells(chosen))), "")
    assert [*settings.datasets] == ["zoo"]
    assert list(settings.rankers) == ["zoo-combined-a1-b1-g1-1"]


def test_what_a_sweep_tests_against_and_its_swap_name_what_is_there():
    sections = params.effective(SECTIONS, None, {"sweep": GRID | {"beta": [0.5], "alpha": [0.0, 2.0]}})
    _, settings = swept_from(sections)
    assert settings.evaluate.reference == "combined-a0-b0_5-g1"
    swap = settings.swap
    assert (swap.data, swap.docids, swap.loss) == ("wordnet", "text", "combined-a0-b0_5-g1")
    assert (swap.of, swap.known) == ((), ())  # no ranker is trained


def test_a_sweep_over_another_data_set():
    _, settings = swept_from(params.effective(SECTIONS, None, {"sweep": {"data": "products", "docids": "text"}}))
    assert settings.evaluate.reference == "combined-a1-b1-g1"
    assert list(settings.catalogues) == ["products-text"]
    assert (settings.swap.data, settings.swap.docids) == ("products", "text")


def test_the_cells_survive_yaml():
    found, _ = swept(alpha=[float("inf")], beta=[0.5], rho=[0.7])
    assert yaml.safe_load(yaml.safe_dump(found)) == found


def test_an_empty_grid_has_no_ranker():
    with pytest.raises(UserError, match=r"sweep is empty\ngive sweep.rho"):
        swept()
