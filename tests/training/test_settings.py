"""The settings of a training and of its prompts."""

import pytest

from arrange.training.settings import NO_TEACHER, Finetune, Prompt, TeacherTable

PROMPT = {
    "regime": "corpus",
    "corpus": "{query}<docid>",
    "in_context": "{query}\n{candidates}<docid>",
    "candidate": "{docid}\n",
    "query_tokens": 22,
    "score": "sum",
}


def test_the_templates_are_those_of_the_regime():
    assert Prompt(**PROMPT).templates() == {"template": "{query}<docid>", "candidate": None, "query_tokens": 22}
    in_context = Prompt(**PROMPT | {"regime": "in_context"})
    assert in_context.templates() == {
        "template": "{query}\n{candidates}<docid>",
        "candidate": "{docid}\n",
        "query_tokens": 22,
    }


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("corpus", "<docid>"),
        ("corpus", "{query}{query}"),
        ("corpus", "{query} {candidates}"),
        ("in_context", "{candidates}{query}"),
        ("candidate", "docid"),
    ],
)
def test_a_template_without_its_places_is_named(name, template):
    with pytest.raises(ValueError, match=f"^{name} is .*; it needs"):
        Prompt(**PROMPT | {name: template})


FINETUNE = {
    "model": "base_models/scratch",
    "normaliser": "vocabulary",
    "teacher": TeacherTable(table=NO_TEACHER, depth=0),
    "threads": 1,
    "validation_queries": 1,
    "arguments": {"max_steps": 0},
}


@pytest.mark.parametrize("arguments", [{}, {"max_steps": -1}, {"max_steps": "many"}])
def test_a_training_without_a_number_of_steps_is_refused(arguments):
    with pytest.raises(ValueError, match=r"^arguments.max_steps is .*; give a whole number, 0 or more$"):
        Finetune(**FINETUNE | {"arguments": arguments})


@pytest.mark.parametrize("normaliser", ["vocabulary", "docid_tokens"])
def test_a_temperature_of_a_normaliser_without_one_is_refused(normaliser):
    with pytest.raises(ValueError, match=rf"^temperature is 2.0, .*{normaliser}.*; give normaliser: children"):
        Finetune(**FINETUNE | {"normaliser": normaliser, "temperature": 2.0})
    assert Finetune(**FINETUNE | {"normaliser": "children", "temperature": 2.0}).temperature == 2.0
