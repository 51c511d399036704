"""Pictures show what they are given: the same bytes for the same numbers, others for others."""

import polars as pl
import torch

from arrange.report import activations_figures as figures

FAMILY = pl.DataFrame(
    {
        "id": [1, 2, 5],
        "parents": [[], [], [1, 2]],
        "generation": [0, 0, 3],
        "mutator": ["seed", "seed", "crossover"],
        "confirmed": [0.0, None, 0.25],
    }
)
LINES = pl.DataFrame(
    {
        "problem": ["radial 1"] * 4,
        "activation": ["gelu", "gelu", "mine", "mine"],
        "x": [-1.5, 1.5, -1.5, 1.5],
        "truth": [0.0, 1.0, 0.0, 1.0],
        "prediction": [0.1, 0.9, 0.2, 0.8],
    }
)


def drawn(draw, value, path):
    draw(value, path)
    return path.read_bytes()


def is_picture_of_its_numbers(draw, one, other, folder):
    first, again, changed = (drawn(draw, value, folder / "it.png") for value in (one, one, other))
    return first.startswith(b"\x89PNG") and first == again != changed


def test_functions_with_their_slopes(tmp_path):
    one = {"tanh": torch.tanh, "sin": torch.sin}
    assert is_picture_of_its_numbers(figures.plot_functions, one, one | {"sin": torch.cos}, tmp_path)


def test_progress_also_of_a_search_in_which_nobody_joined(tmp_path):
    none = pl.DataFrame({"member_steps": [10, 20], "gain": [0.0, 0.0]})
    some = none.with_columns(gain=pl.Series([0.1, 0.2]))
    assert is_picture_of_its_numbers(figures.plot_progress, {"a": some, "b": none}, {"a": none, "b": some}, tmp_path)


def test_the_map_of_families(tmp_path):
    one = pl.DataFrame(
        [("chirp", "sin", -0.5), ("radial", "sin", 0.25), ("chirp", "relu", 0.1), ("radial", "relu", None)],
        ["group", "activation", "log_ratio"],
        orient="row",
    )
    other = one.with_columns(log_ratio=-pl.col("log_ratio"))
    assert is_picture_of_its_numbers(figures.plot_map, one, other, tmp_path)


def test_growth_with_the_controls_line(tmp_path):
    one = pl.DataFrame(
        [("mine", "digits", 1, 0.0), ("mine", "digits", 2, -0.2), ("gelu seeds", "digits", 2, -0.1)],
        ["portfolio", "group", "size", "log_ratio"],
        orient="row",
    )
    other = one.with_columns(log_ratio=2 * pl.col("log_ratio"))

    def draw(growth, path):
        figures.plot_growth(growth, path, "gelu seeds")

    assert is_picture_of_its_numbers(draw, one, other, tmp_path)


def test_what_was_picked_where(tmp_path):
    one = pl.DataFrame(
        [("mine", "chirp", "gelu", 0.25), ("mine", "chirp", "sin", 0.75)],
        ["portfolio", "family", "activation", "share"],
        orient="row",
    )
    assert is_picture_of_its_numbers(figures.plot_picks, one, one.with_columns(share=1 - pl.col("share")), tmp_path)


def test_a_family_with_two_parents(tmp_path):
    other = FAMILY.with_columns(parents=pl.Series([[], [], [2]]))
    assert is_picture_of_its_numbers(figures.plot_family, FAMILY, other, tmp_path)


def test_lines_beyond_the_training_box(tmp_path):
    other = LINES.with_columns(prediction=-pl.col("prediction"))
    assert is_picture_of_its_numbers(figures.plot_extrapolation, LINES, other, tmp_path)
