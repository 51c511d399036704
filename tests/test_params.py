"""params.yaml: every mistake is two lines that name the key, its value and what would be valid."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from arrange.errors import UserError
from tasks import params
from tasks.settings import RULES, Loss, Settings

PROJECT = params.load(Path(__file__).parents[1] / "params.yaml")
SECTIONS = {name: section for name, section in PROJECT.items() if name != "presets"}


def changed(*assignments):
    """The project's sections with nested values set (or, with no value, removed)."""
    sections = copy.deepcopy(SECTIONS)
    for path, *value in assignments:
        *sections_above, key = path.split(".")
        section = sections
        for name in sections_above:
            section = section[name]
        if value:
            section[key] = value[0]
        else:
            del section[key]
    return sections


FINETUNE = (
    "seed, threads, hidden_size, layers, heads, prompt_tokens, steps, batch_size, learning_rate, warmup, weight_decay"
)
MISTAKES = {
    "key": (
        ("finetune.stesp", 3),
        "finetune.stesp is not a setting",
        f"did you mean steps? valid: {FINETUNE}",
    ),
    "key like nothing": (
        ("rank.zzz", 3),
        "rank.zzz is not a setting",
        "valid: threads, beams, batch_size",
    ),
    "section": (
        ("evalute", {}),
        "evalute is not a setting",
        "did you mean evaluate? valid: matrix, download_wordnet, prepare_wordnet, docids, losses, finetune, rank, "
        "controls, evaluate",
    ),
    "key of a loss": (
        ("losses.item.alhpa", 3),
        "losses.item.alhpa is not a setting",
        "did you mean alpha? valid: rule, alpha",
    ),
    "key of another loss": (("losses.ntp.alpha", 3), "losses.ntp.alpha is not a setting", "valid: rule"),
    "key of a section that is gone": (
        ("losses.item.rule",),
        "losses.item.rule is missing",
        "add it; valid: ntp, item",
    ),
    "missing key": (("rank.beams",), "rank.beams is missing", "add it, or `git restore params.yaml`"),
    "missing key of a loss": (
        ("losses.item.alpha",),
        "losses.item.alpha is missing",
        "add it, or `git restore params.yaml`",
    ),
    "missing section": (("rank",), "rank is missing", "add it, or `git restore params.yaml`"),
    "word": (
        ("prepare_wordnet.split", "parrent"),
        "prepare_wordnet.split is 'parrent'",
        "did you mean parent? valid: parent, query",
    ),
    "word in a list": (
        ("download_wordnet.sources", ["debain"]),
        "download_wordnet.sources.0 is 'debain'",
        "did you mean debian? valid: folder, installed, princeton, debian",
    ),
    "only one word is valid": (("matrix.data", ["esci"]), "matrix.data.0 is 'esci'", "valid: wordnet"),
    "rule": (("losses.item.rule", "itme"), "losses.item.rule is 'itme'", "did you mean item? valid: ntp, item"),
    "loss without a rule": (
        ("matrix.loss", ["item", "nosuch"]),
        f"matrix.loss names 'nosuch', which losses lacks (it has {', '.join(SECTIONS['losses'])})",
        "change one of the two",
    ),
    "two values that clash": (
        ("finetune.heads", 77),
        f"finetune: hidden_size {SECTIONS['finetune']['hidden_size']} is no multiple of 2 x heads (77)",
        "change one of the two",
    ),
    "too small": (("rank.beams", 0), "rank.beams is 0", "Input should be greater than 0"),
    "negative": (
        ("losses.item.alpha", -0.5),
        "losses.item.alpha is -0.5",
        "Input should be greater than or equal to 0",
    ),
    "too large": (("prepare_wordnet.test", 1), "prepare_wordnet.test is 1", "Input should be less than 1"),
    "vocabulary": (
        ("docids.vocabulary_size", 299),
        "docids.vocabulary_size is 299",
        "Input should be greater than or equal to 300",
    ),
    "text for a number": (("finetune.steps", "many"), "finetune.steps is 'many'", "Input should be a valid integer"),
    "quoted number": (("finetune.steps", "400"), "finetune.steps is '400'", "Input should be a valid integer"),
    "yes for a number": (("finetune.threads", True), "finetune.threads is True", "Input should be a valid integer"),
    "fraction": (("finetune.steps", 3.5), "finetune.steps is 3.5", "Input should be a valid integer"),
    "infinity": (
        ("finetune.learning_rate", float("inf")),
        "finetune.learning_rate is inf",
        "Input should be a finite number",
    ),
    "number for text": (("prepare_wordnet.root", 3), "prepare_wordnet.root is 3", "Input should be a valid string"),
    "word for a list": (("matrix.loss", "item"), "matrix.loss is 'item'", "Input should be a valid list"),
    "empty list": (
        ("matrix.loss", []),
        "matrix.loss is []",
        "List should have at least 1 item after validation, not 0",
    ),
    "name that DVC would split": (
        ("matrix.loss", ["item2.5"]),
        "matrix.loss.0 is 'item2.5'",
        r"String should match pattern '^[\w-]+$'",
    ),
    "value for a section": (("finetune", 3), "finetune is 3", "give it a section of keys and values"),
    "nothing for a section": (("docids", None), "docids is None", "give it a section of keys and values"),
    "value for the losses": (("losses", 3), "losses is 3", "give it a section of keys and values"),
    "value for a loss": (("losses.item", 3), "losses.item is 3", "give it a section of keys and values"),
}


@pytest.mark.parametrize(("assignment", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_the_sections(assignment, what, remedy, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(changed(assignment), sort_keys=False))
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert (failure.value.what, failure.value.remedy) == (f"{path}: {what}", remedy)
    assert str(failure.value).count("\n") == 1


def test_rules_are_those_of_the_union():
    assert tuple(RULES.values()) == Loss.__origin__.__args__
    assert all(model.model_fields["rule"].annotation.__args__ == (name,) for name, model in RULES.items())


# the same machinery; what differs is the place that the first line names
IN_A_PRESET = {
    "key": (
        {"rank": {"beam": 1}},
        "params.yaml, preset mine: rank.beam is not a setting",
        "did you mean beams? valid: threads, beams, batch_size",
    ),
    "clash": (
        {"finetune": {"hidden_size": 12, "heads": 4}},
        "params.yaml, preset mine: finetune: hidden_size 12 is no multiple of 2 x heads (4)",
        "change one of the two",
    ),
    "no sections": (None, "params.yaml: presets.mine is None", "give it sections, or {} for none"),
    "list": ([1], "params.yaml: presets.mine is [1]", "give it sections, or {} for none"),
}


@pytest.mark.parametrize(("preset", "what", "remedy"), IN_A_PRESET.values(), ids=IN_A_PRESET)
def test_mistake_in_a_preset(preset, what, remedy):
    with pytest.raises(UserError) as failure:
        params.effective(SECTIONS | {"presets": {"mine": preset}}, "mine", {})
    assert (failure.value.what, failure.value.remedy) == (what, remedy)


@pytest.mark.parametrize(
    ("presets", "remedy"),
    [
        ({"presets": {"tiny": {}, "standard": {}}}, "did you mean tiny? valid: tiny, standard"),
        ({"presets": None}, "valid: none"),
        ({"presets": 3}, "valid: none"),
        ({}, "valid: none"),
    ],
)
def test_unknown_preset(presets, remedy):
    with pytest.raises(UserError) as failure:
        params.effective(SECTIONS | presets, "tinny", {})
    assert (failure.value.what, failure.value.remedy) == ("there is no preset 'tinny' in params.yaml", remedy)


def test_a_mistake_below_a_preset_is_not_blamed_on_the_preset():
    with pytest.raises(UserError, match=r"^params\.yaml: rank\.beams is 0\n"):
        params.effective(changed(("rank.beams", 0)) | {"presets": PROJECT["presets"]}, "tiny", {})


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        (["steps"], "override 'steps' isn't of the form section.key=value", "for example finetune.steps=300"),
        (["=3"], "override '=3' isn't of the form section.key=value", "for example finetune.steps=300"),
        (["a..b=3"], "override 'a..b=3' isn't of the form section.key=value", "for example finetune.steps=300"),
        ([""], "override '' isn't of the form section.key=value", "for example finetune.steps=300"),
        (
            ["matrix.loss=[item"],
            "override 'matrix.loss=[item': '[item' isn't valid YAML",
            "quote it, or close its bracket",
        ),
        (
            ["rank.beams=3", "rank.beems=3"],
            "the overrides: rank.beems is not a setting",
            "did you mean beams? valid: threads, beams, batch_size",
        ),
        (["rank.beams=-1"], "the overrides: rank.beams is -1", "Input should be greater than 0"),
        (["rank=3"], "the overrides: rank is 3", "give it a section of keys and values"),
        (["rank.beams.x=3"], "the overrides: rank.beams is {'x': 3}", "Input should be a valid integer"),
        (
            ["losses.item.rule=itme"],
            "the overrides: losses.item.rule is 'itme'",
            "did you mean item? valid: ntp, item",
        ),
    ],
)
def test_mistake_in_overrides(words, what, remedy):
    with pytest.raises(UserError) as failure:
        params.effective(PROJECT, None, params.parse_overrides(words))
    assert (failure.value.what, failure.value.remedy) == (what, remedy)


def test_file_that_is_not_there(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert str(failure.value) == f"{path} can't be read: No such file or directory\nrun from the top of a checkout"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"rank:\n  beams: [1\nfinetune: 2\n", "line 3, column 9"),
        (b"rank:\n\tbeams: 1\n", "line 2, column 1"),
        (b"\xff\xfe\x00rank", "can't decode byte 0xff in position 0"),
    ],
)
def test_file_that_is_not_yaml(tmp_path, content, where):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert failure.value.what.startswith(f"{path} isn't valid YAML: ")
    assert where in failure.value.what
    assert failure.value.remedy == "mend that line, or `git restore` the file"
    assert str(failure.value).count("\n") == 1


@pytest.mark.parametrize("content", ["", "3", "- a\n- b"])
def test_file_without_sections(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match="has no sections"):
        params.read(path)


def test_the_projects_file_and_its_presets_are_valid():
    assert params.effective(PROJECT, None, {}) == SECTIONS
    for preset, overlay in PROJECT["presets"].items():
        settings = params.effective(PROJECT, preset, {})
        assert settings == params.merge(SECTIONS, overlay)
        assert settings != SECTIONS, f"preset {preset} changes nothing"


def test_an_override_beats_a_preset_and_a_preset_the_section():
    given = changed(("rank", {"threads": 1, "beams": 2, "batch_size": 3}))
    given["presets"] = {"mine": {"rank": {"beams": 20, "batch_size": 30}}}
    before = copy.deepcopy(given)
    found = params.effective(given, "mine", {"rank": {"batch_size": 300}})
    assert found["rank"] == {"threads": 1, "beams": 20, "batch_size": 300}
    assert given == before


def test_settings_are_frozen():
    settings = Settings.model_validate(SECTIONS)
    with pytest.raises(ValidationError, match="frozen"):
        settings.finetune.steps = 3
    with pytest.raises(ValidationError, match="frozen"):
        settings.finetune = settings.finetune


def test_parse_overrides():
    words = ["finetune.steps=3", "matrix.loss=[item]", "finetune.learning_rate=1.0e-3", "prepare_wordnet.root=a=b"]
    assert params.parse_overrides(words) == {
        "finetune": {"steps": 3, "learning_rate": 0.001},
        "matrix": {"loss": ["item"]},
        "prepare_wordnet": {"root": "a=b"},
    }
    assert params.parse_overrides(["rank.beams=1", "rank.beams=2"]) == {"rank": {"beams": 2}}
    assert params.parse_overrides([]) == {}


names = st.text("abc", min_size=1, max_size=2)
nested = st.recursive(
    st.dictionaries(names, st.integers(), min_size=1, max_size=3),
    lambda inner: st.dictionaries(names, inner | st.integers(), min_size=1, max_size=3),
)


def leaves(tree, prefix=()):
    """Every value of a nested dictionary, by its path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


@given(nested, nested)
def test_merge_takes_the_overlay_and_keeps_the_rest(base, overlay):
    merged = params.merge(base, overlay)
    assert all(at(merged, path) == value for path, value in leaves(overlay))
    paths = [path for path, _ in leaves(overlay)]
    for path, value in leaves(base):
        hidden = any(path[: len(other)] == other or other[: len(path)] == path for other in paths)
        assert hidden or at(merged, path) == value


@given(nested, nested, nested)
def test_merge_is_associative_on_sections_of_their_own(left, middle, right):
    a, b, c = (
        {f"{name}{key}": value for key, value in tree.items()}
        for name, tree in zip("xyz", (left, middle, right), strict=True)
    )
    assert params.merge(params.merge(a, b), c) == params.merge(a, params.merge(b, c)) == {**a, **b, **c}


@given(nested)
def test_merge_with_nothing_or_itself_changes_nothing(tree):
    assert params.merge(tree, {}) == params.merge({}, tree) == params.merge(tree, tree) == tree


@given(nested)
def test_overrides_say_what_they_were_made_from(tree):
    words = [f"{'.'.join(path)}={value}" for path, value in leaves(tree)]
    assert list(leaves(params.parse_overrides(words))) == list(leaves(tree))
