"""Finetuning in one call."""

import pytest

from arrange import finetune, load
from arrange.errors import UserError
from arrange.serving.exported import identity
from arrange.training.losses import Geometric

LISTS = {
    "a dog that herds": ["sheepdog", "dog", "animal"],
    "a small cat": ["kitten", "cat", "animal"],
    "a dog for the hunt": ["hound", "dog", "animal"],
}


def names(ranker, queries, k=3):
    return [[one.doc_id for one in ranked] for ranked in ranker.rank(queries, k)]


def test_a_ranker_learns_the_lists_and_comes_back_from_its_folder(tmp_path):
    ranker = finetune(LISTS, folder=tmp_path / "animals", steps=80)
    assert names(ranker, [*LISTS]) == [*LISTS.values()]
    again = load(str(tmp_path / "animals"))
    assert again.rank(["a small dog"], 6) == ranker.rank(["a small dog"], 6)
    assert {one.doc_id for one in again.rank(["a small dog"], 6)[0]} == {name for ids in LISTS.values() for name in ids}
    assert (again.card["data"], again.card["parameters"]["loss"]["rule"]) == ("animals", "item")


def test_the_same_arguments_give_the_same_bytes_and_another_loss_others(tmp_path):
    for folder, loss in (("one", None), ("two", None), ("three", Geometric(rho=0.7))):
        finetune(LISTS, folder=tmp_path / folder / "animals", steps=3, loss=loss)
    one, two, three = (identity(tmp_path / folder / "animals") for folder in ("one", "two", "three"))
    assert one == two != three


def test_documents_may_have_texts_and_be_in_no_list():
    texts = {"7": "a herding dog", "8": "a young cat", "9": "a fish"}
    ranker = finetune({"dogs": ["7"], "cats": ["8"]}, texts, steps=40)
    [ranked] = ranker.rank(["cats"], 3)
    assert (ranked[0].doc_id, ranked[0].text) == ("8", "a young cat")
    assert {(one.doc_id, one.text) for one in ranked} == {*texts.items()}


@pytest.mark.parametrize(
    ("lists", "documents", "what"),
    [
        ({}, None, "no"),
        ({"a dog": []}, {"7": "a dog"}, "without a ranked document"),
        ({"a dog": ["7", "7"]}, None, "7"),
        ({"a dog": ["8"]}, {"7": "a dog"}, "not in the documents"),
    ],
)
def test_lists_that_are_no_data_set_are_told(lists, documents, what):
    with pytest.raises(UserError, match=what):
        finetune(lists, documents, steps=1)


def test_a_model_that_is_no_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        finetune(LISTS, model=tmp_path)
