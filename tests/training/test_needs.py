"""What a training needs: counted by hand for a tiny model, against a machine that has less."""

from types import SimpleNamespace

import pytest
import tiny

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Scratch
from arrange.errors import UserError
from arrange.training import needs


@pytest.fixture
def base(tmp_path):
    tiny.ranker().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_the_weights_are_counted_without_being_loaded(base):
    expected = sum(weight.numel() for weight in tiny.ranker().parameters())
    (base / "model.safetensors").unlink()
    assert needs.parameters(base) == expected


@pytest.mark.parametrize(("lora", "times"), [(False, 16), (True, 4)])
def test_too_little_memory_is_told_before_the_work(base, lora, times, monkeypatch):
    needed = times * needs.parameters(base)
    free = SimpleNamespace(available=needed)
    monkeypatch.setattr("arrange.training.needs.torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("arrange.training.needs.psutil.virtual_memory", lambda: free)
    needs.check(base, lora, checkpoints=1)
    free.available -= 1
    with pytest.raises(UserError, match=r"a training needs .* GB of memory and more") as refusal:
        needs.check(base, lora, checkpoints=1)
    assert ("lora" in refusal.value.remedy) is not lora


def test_too_little_disc_is_told_before_the_work(base, monkeypatch):
    disc = SimpleNamespace(free=needs.parameters(base) * 4 * (1 + 3 * 3))  # the ranker, two checkpoints and one more
    monkeypatch.setattr("arrange.training.needs.shutil.disk_usage", lambda _: disc)
    needs.check(base, False, checkpoints=2)
    disc.free -= 1
    with pytest.raises(UserError, match="of disc"):
        needs.check(base, False, checkpoints=2)


def test_random_weights_need_no_check(tmp_path):
    prepare(Scratch(shape=tiny.SHAPE), tmp_path / "scratch")
    needs.check(tmp_path / "scratch", False, 10**9)
