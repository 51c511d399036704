"""Whether a class of another library takes an option: by its name, and by the value's type."""

from typing import Any, Literal

import pytest

from arrange.errors import UserError
from arrange.models.options import check, fits

TYPES = {"r": int, "lora_alpha": int, "target_modules": list[str] | str | None, "rate": float}


@pytest.mark.parametrize(
    ("value", "kind", "does"),
    [
        (1, float, True),
        (True, float, False),
        ("1", float, False),
        (1.0, int, False),
        (True, int, False),
        (1, bool, False),
        (None, int | None, True),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ("n_16", bool | Literal["n_[a number]"], True),
        (["a"], list[str] | str, True),
        ([1], list[str] | str, False),
        ({"a": 1}, dict[str, Any], True),
        (3, dict[str, Any] | None, False),
        (3, Any, True),
    ],
)
def test_a_value_fits_a_type(value, kind, does):
    assert fits(value, kind) is does


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rr": 4}, "lora.rr: peft has no 'rr'\nperhaps 'r'"),
        ({"zzzzz": 4}, "lora.zzzzz: peft has no 'zzzzz'\ntake it out; peft has others"),
        ({"r": "4"}, "lora.r is '4'\npeft takes int"),
        ({"target_modules": 3}, "lora.target_modules is 3\npeft takes list[str] | str | None"),
        ({"task_type": 3}, "lora.task_type can't be set\nthe model decides"),
    ],
)
def test_an_option_that_is_not_taken_is_told_by_its_key(options, message):
    with pytest.raises(UserError) as refusal:
        check(options, "lora", "peft", TYPES, {"task_type": "the model decides"})
    assert str(refusal.value) == message
    check({"r": 4, "rate": 1, "target_modules": None}, "lora", "peft", TYPES)
