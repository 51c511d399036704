"""Options that are passed on to other libraries, checked before the work."""

from pathlib import Path

import pytest
import yaml
from sections import SECTIONS, changed

from arrange.errors import UserError
from flows.run import check_options
from settings import options, params

MISTAKES = {  # what is set; the two lines
    "finetune.arguments": ({"max_steps": 9, "learning_rat": 1.0}, "finetune.arguments.learning_rat: ", "learning_rate"),
    "finetune.arguments.seed": (3, "finetune.arguments.seed can't be set", "rankers.<name>.seed"),
    "finetune.arguments.learning_rate": ("fast", "finetune.arguments.learning_rate is 'fast'", "float"),
    "finetune.arguments.metric_for_best_model": (
        "ndcg@10",
        "finetune.arguments.metric_for_best_model is 'ndcg@10'",
        "did you mean nDCG@10?",
    ),
    "rankers.wordnet-item.arguments": (
        {"label_smoothing_factor": 0.1},
        "rankers.wordnet-item.arguments.label_smoothing_factor can't be set",
        "labels",
    ),
    "finetune.lora": ({"rr": 4}, "finetune.lora.rr: peft.LoraConfig has no 'rr'", "perhaps 'r'"),
}


@pytest.mark.parametrize(("path", "value", "what", "remedy"), [(path, *rest) for path, rest in MISTAKES.items()])
def test_a_mistake_is_told_by_its_key_and_a_remedy(path, value, what, remedy):
    with pytest.raises(UserError) as refusal:
        options.check(params.validate(changed((path, value)), "here"))
    assert refusal.value.what.startswith(what)
    assert remedy in refusal.value.remedy
    assert str(refusal.value).count("\n") == 1


@pytest.mark.parametrize("machine", [{}, {"bf16": True, "tf32": True}, {"fp16": True}])
def test_what_another_machine_can_do_is_left_to_it(machine):
    arguments = SECTIONS["finetune"]["arguments"] | machine
    options.check(params.validate(changed(("finetune.arguments", arguments)), "here"))


PARAMS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())


@pytest.mark.parametrize("preset", PARAMS["presets"])
def test_every_preset_of_ours_can_start(preset):
    options.check(params.validate(params.effective(PARAMS, preset, {}), "here"))


def test_a_flow_is_told_in_two_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(params.__spec__.origin).rpartition("/settings/")[0])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(SECTIONS))
    check_options(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed(("finetune.lora", {"rr": 4}))))
    with pytest.raises(UserError, match=r"^finetune\.lora\.rr: peft\.LoraConfig has no 'rr'\nperhaps 'r'$"):
        check_options(tmp_path)


REQUESTS = {
    "model": ("small", "llm.model"),
    "temperature": (0.5, "llm.temperature"),
    "max_tokens": (5, "llm.max_tokens"),
    "messages": ([], "take it out"),
    "stream": (True, "take it out"),
    "n": (2, "search.generation_size"),
    "max_completion_tokens": (2001, "llm.max_tokens"),
}


@pytest.mark.parametrize(("name", "value", "remedy"), [(name, *rest) for name, rest in REQUESTS.items()])
def test_a_field_of_a_request_that_would_hide_a_knob_or_the_answer_is_refused(name, value, remedy):
    with pytest.raises(UserError) as refusal:
        params.validate(changed(("llm.request", {name: value})), "here")
    assert f"llm: request.{name}" in refusal.value.what
    assert remedy in str(refusal.value)
    allowed = {"model": None, "temperature": None, "max_tokens": None, "max_completion_tokens": 2000, "top_p": 0.9}
    assert params.validate(changed(("llm.request", allowed)), "here").llm.request == allowed
