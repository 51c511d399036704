"""Losses with a teacher, preferences or mined documents: what fits together is read, what doesn't is two lines."""

from pathlib import Path

import pytest
import yaml
from sections import SECTIONS, changed

from arrange.errors import UserError
from arrange.training.settings import NO_TEACHER
from arrange.training.terms import Mined, Teacher
from flows.compare import trainings
from settings import options, params

PROJECT = Path(__file__).parents[2]
LOSS = {"rule": "combined", "alpha": 0.0, "beta": 1.0}
TAUGHT, MINED = (
    LOSS | {"teacher": {"weight": 1.0}},
    LOSS | {"terms": {"hinge": 1.0}, "mined": {"documents": 5, "every": 50}},
)
LEARNT = ("rankers.wordnet-item.loss", "other")
TABLE = ("finetune.teacher.table", "candidates/wordnet-first.parquet")
FIRST = ("candidates.wordnet-first", {"data": "wordnet", "systems": ["bm25"], "depth": 9})
NGRAM = ("ngram.wordnet-ngram", {"data": "wordnet", "docids": "text", "loss": "other", "seed": 1, "length": 10,
    "samples": 10, "temperature": 0.1, "alpha": 2.0, "beta": 0.8, "frequent": 1500})  # fmt: skip
MISTAKES = {
    "no table": ([("losses.other", TAUGHT), LEARNT], "but finetune.teacher.table is", "name candidates/"),
    "a table that no entry makes": ([FIRST, ("finetune.teacher.table", "candidates/wordnet-frist.parquet")],
        "finetune.teacher.table (an entry of candidates) is 'wordnet-frist'", "wordnet-first?"),
    "a run of other queries": ([("finetune.teacher.table", "runs/wordnet/bm25/run.parquet")], "no absolute", "cand"),
    "a table that is not absolute": ([("finetune.teacher.table", "../t.trec")], "'../t.trec' is no table", NO_TEACHER),
    "a depth": ([("finetune.teacher.depth", -1)], "finetune.teacher.depth is -1", "greater than or equal to 0"),
    "a term": ([("losses.other", LOSS | {"teacher": {"term": "ranknt"}})], "other.teacher.term is", "mean ranknet?"),
    "a key": ([("losses.other", LOSS | {"teacher": {"weigth": 1.0}})], "other.teacher.weigth is not", "mean weight?"),
    "a preference's key": ([("losses.other", LOSS | {"preference": {"gamma": 1.0}})], "gamma is not", "margin"),
    "a temperature of 0": (
        [("losses.other", LOSS | {"teacher": {"temperature": 0.0}})],
        "other.teacher.temperature is 0.0",
        "greater than 0",
    ),
    "a temperature that nothing reads": (
        [("losses.other", LOSS | {"teacher": {"term": "ranknet", "temperature": 0.1}})],
        "reads the teacher's order alone",
        "leave temperature out",
    ),
    "a margin that nothing reads": (
        [("losses.other", LOSS | {"preference": {"term": "dpo", "margin": 0.1}})],
        "dpo has none",
        "leave it out, or take simpo",
    ),
    "mined documents that nothing reads": (
        [("losses.other", LOSS | {"mined": {"documents": 5}})],
        "no term of this loss compares ranked documents with them",
        "add one",
    ),
    "mined documents that a teacher has no score for": (
        [("losses.other", TAUGHT | {"mined": {"documents": 5}}), LEARNT, FIRST, TABLE],
        "no term of this loss compares ranked documents with them",
        "add one",
    ),
    "mined documents in context": (
        [("losses.other", MINED), LEARNT, ("prompt.regime", "in_context")],
        "the regime is in_context",
        "take the regime corpus",
    ),
    "n-grams with mined documents": ([("losses.other", MINED), NGRAM], "ngram.wordnet-ngram.loss is", "without"),
    "n-grams that compare siblings": (
        [("losses.other", LOSS | {"terms": {"prefix": {"weight": 1.0}}}), NGRAM], "siblings", "terms.prefix"
    ),
    "n-grams of one token": ([("ngram.wordnet-ngram", NGRAM[1] | {"length": 1})], "length is 1", "equal to 2"),
    "n-grams of no data set": ([("ngram.wordnet-ngram", NGRAM[1] | {"data": "wordnt"})], "is 'wordnt'", "wordnet?"),
    "a swap with a teacher": ([("losses.other", TAUGHT), ("swap.loss", "other")], "swap.loss is 'other'", "without"),
    "a swap that mines": ([("losses.other", MINED), ("swap.loss", "other")], "swap.loss is 'other'", "without"),
}  # fmt: skip


@pytest.mark.parametrize(("assignments", "where", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_what_does_not_fit_together_is_told_in_two_lines(assignments, where, remedy):
    with pytest.raises(UserError) as failure:
        params.validate(changed(*assignments), "here")
    assert where in failure.value.what
    assert remedy in failure.value.remedy
    assert str(failure.value).count("\n") == 1


def test_what_fits_together_is_read():
    settings = params.validate(changed(("losses.other", TAUGHT), LEARNT, FIRST, TABLE), "here")
    assert settings.losses["other"].teacher == Teacher(term="kl", weight=1.0, temperature=1.0)
    assert settings.losses["item"].teacher.weight == 0
    own = params.validate(changed(("losses.other", MINED), ("finetune.teacher.table", "/mine/run.trec")), "here")
    assert own.losses["other"].mined == Mined(documents=5, every=50)


def test_a_teachers_table_follows_its_data(tmp_path):
    """A comparison of losses keeps the table, and data of one's own get one of their own."""
    sections = changed(FIRST, TABLE, ("losses.other", TAUGHT), ("compare.losses", ["other", "item"]))
    compared = params.validate(params.apply(sections, trainings(sections)), "here")
    assert list(compared.candidates) == ["wordnet-first"]
    (tmp_path / "mine").mkdir()
    own = params.validate(params.apply(sections, params.with_own_data(sections, tmp_path / "mine")), "here")
    assert own.finetune.teacher.table == "candidates/mine-first.parquet"
    assert own.candidates["mine-first"].data == "mine"


def test_checkpoints_fall_on_the_steps_of_a_search():
    fits = changed(("losses.other", MINED), LEARNT)  # 250 steps a checkpoint
    options.check(params.validate(fits, "here"))
    off = changed(("losses.other", MINED | {"mined": {"documents": 5, "every": 40}}), LEARNT)
    with pytest.raises(UserError, match=r"^rankers\.wordnet-item\.arguments: save_steps is 250, no multiple of .*, 40"):
        options.check(params.validate(off, "here"))


def test_a_run_without_documents_is_there_and_a_stage_depends_on_the_table_that_is_named():
    assert (PROJECT / NO_TEACHER).read_bytes() == b""
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert "${finetune.teacher.table}" in stages["finetune"]["do"]["deps"]
    assert SECTIONS["finetune"]["teacher"]["table"] == NO_TEACHER
