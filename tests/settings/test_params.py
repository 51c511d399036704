"""params.yaml: every mistake is two lines that name the key, its value and what would be valid."""

import pytest
import yaml
from sections import PROJECT, SECTIONS, changed

from arrange.errors import UserError
from settings import params
from settings.sections import Bm25, Settings, Vectors

SCHEMES = "text, atomic, numeric, semantic, rq, sparse, shuffled"
COMMON = "gamma, normalised, plackett_luce, hinge, margin"
RANK = ", ".join(SECTIONS["rank"])
RULES = "ntp, item, stepwise, token, combined, geometric"
MISSING = "add it, or `git restore params.yaml`"
SECTION = "give it a section of keys and values"
WHOLE = "Input should be a valid integer"
RANKER = {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1}
BASELINE = {"kind": "bm25", "data": "wordnet", "docids": "text"}
OTHER_NAME = "give the loss (of a ranker) or the baseline another name"
TEMPLATES = "in this order, once each"
MISTAKES = {
    "key": (
        ("finetune.theads", 3),
        "finetune.theads is not a setting",
        f"did you mean threads? valid: {', '.join(SECTIONS['finetune'])}",
    ),
    "key like nothing": (("rank.zzz", 3), "rank.zzz is not a setting", f"valid: {RANK}"),
    "section": (
        ("evalute", {}),
        "evalute is not a setting",
        f"did you mean evaluate? valid: {', '.join(Settings.model_fields)}",
    ),
    "key in a section of a section": (
        ("docids.vectoriser.nam", "x"),
        "docids.vectoriser.nam is not a setting",
        "did you mean name? valid: name, dimensions, seed",
    ),
    "key like nothing in a section of a section": (
        ("prepare_esci.teacher.x", 3),
        "prepare_esci.teacher.x is not a setting",
        "valid: name, dimensions, seed, length, deepest",
    ),
    "key of a ranker": (
        ("rankers.wordnet-item.losss", "item"),
        "rankers.wordnet-item.losss is not a setting",
        "did you mean loss? valid: data, docids, loss, seed, arguments",
    ),
    "key of a catalogue": (
        ("catalogues.wordnet-text.optoins", {}),
        "catalogues.wordnet-text.optoins is not a setting",
        "did you mean options? valid: data, docids, options",
    ),
    "key of own data, which is then missing too": (
        ("own", {"mine": {"foldr": "/a"}}),
        "own.mine.foldr is not a setting",
        "did you mean folder? valid: folder, validation, test",
    ),
    "key of a file": (
        ("download_esci.files", {"a": {"bytes": 1, "sha256": "0", "sha": "0"}}),
        "download_esci.files.a.sha is not a setting",
        "did you mean sha256? valid: bytes, sha256",
    ),
    "key of a loss": (
        ("losses.item.alhpa", 3),
        "losses.item.alhpa is not a setting",
        f"did you mean alpha? valid: {COMMON}, rule, alpha",
    ),
    "key of another loss": (
        ("losses.ntp.alpha", 3),
        "losses.ntp.alpha is not a setting",
        f"valid: {COMMON}, rule",
    ),
    "key of a loss that is named otherwise than its rule": (
        ("losses.plackett_luce.bta", 3),
        "losses.plackett_luce.bta is not a setting",
        f"did you mean beta? valid: {COMMON}, rule, alpha, beta",
    ),
    "key of a baseline": (
        ("baselines.wordnet-dual.widht", 3),
        "baselines.wordnet-dual.widht is not a setting",
        f"did you mean width? valid: {', '.join(Vectors.model_fields)}",
    ),
    "key of another baseline": (
        ("baselines.wordnet-bm25.width", 3),
        "baselines.wordnet-bm25.width is not a setting",
        f"valid: {', '.join(Bm25.model_fields)}",
    ),
    "loss without a rule": (("losses.item.rule",), "losses.item.rule is missing", f"add it; valid: {RULES}"),
    "baseline without a kind": (
        ("baselines.wordnet-dual.kind",),
        "baselines.wordnet-dual.kind is missing",
        "add it; valid: bm25, dual, cross, encoder, pairs",
    ),
    "missing key": (("rank.beams",), "rank.beams is missing", MISSING),
    "missing key of a section of a section": (
        ("docids.vectoriser.seed",),
        "docids.vectoriser.seed is missing",
        MISSING,
    ),
    "missing key of a ranker": (("rankers.wordnet-item.seed",), "rankers.wordnet-item.seed is missing", MISSING),
    "missing key of a loss": (("losses.item.alpha",), "losses.item.alpha is missing", MISSING),
    "missing key of a baseline": (
        ("baselines.wordnet-cross.width",),
        "baselines.wordnet-cross.width is missing",
        MISSING,
    ),
    "missing section": (("rank",), "rank is missing", MISSING),
    "word": (
        ("prepare_wordnet.split", "parrent"),
        "prepare_wordnet.split is 'parrent'",
        "did you mean parent? valid: parent, subtree, query",
    ),
    "word in a list": (
        ("download_wordnet.sources", ["debain"]),
        "download_wordnet.sources.0 is 'debain'",
        "did you mean debian? valid: folder, installed, princeton, debian",
    ),
    "word of a ranker": (
        ("rankers.wordnet-item.docids", "txt"),
        "rankers.wordnet-item.docids is 'txt'",
        f"did you mean text? valid: {SCHEMES}",
    ),
    "word for a key": (
        ("docids.schemes.semantc", {}),
        "docids.schemes.semantc is not a setting",
        f"did you mean semantic? valid: {SCHEMES}",
    ),
    "letter for a key": (("prepare_esci.gains.X", 1), "prepare_esci.gains.X is not a setting", "valid: E, S, C, I"),
    "rule": (("losses.item.rule", "itme"), "losses.item.rule is 'itme'", f"did you mean item? valid: {RULES}"),
    "kind": (
        ("baselines.wordnet-dual.kind", "daul"),
        "baselines.wordnet-dual.kind is 'daul'",
        "did you mean dual? valid: bm25, dual, cross, encoder, pairs",
    ),
    "loss that is not there": (
        ("rankers.wordnet-item.loss", "nosuch"),
        f"rankers.wordnet-item names the loss 'nosuch', which losses lacks (it has {', '.join(SECTIONS['losses'])})",
        "change one of the two",
    ),
    "docIDs without a catalogue": (
        ("rankers.wordnet-item.docids", "rq"),
        "rankers.wordnet-item needs wordnet-rq, which catalogues lacks",
        "change one of the two",
    ),
    "misnamed catalogue": (
        ("catalogues.mine", {"data": "wordnet", "docids": "rq"}),
        "catalogues.mine has rq docIDs of wordnet",
        "name it wordnet-rq",
    ),
    "data set that is not there": (
        ("datasets", ["wordnet", "movies"]),
        "datasets names 'movies'",
        "there are products, wordnet",
    ),
    "steps that are no number": (
        ("finetune.arguments.max_steps", "many"),
        "finetune: arguments.max_steps is 'many'",
        "give a whole number above 0",
    ),
    "baseline with a ranker's name": (
        ("baselines.wordnet-item", {"kind": "bm25", "data": "wordnet", "docids": "text"}),
        "baselines.wordnet-item has a ranker's name",
        "change one of the two",
    ),
    "baseline without a catalogue": (
        ("baselines.wordnet-bm25.docids", "rq"),
        "baselines.wordnet-bm25 needs wordnet-rq, which catalogues lacks",
        "change one of the two",
    ),
    "own data with the name of a built-in set": (
        ("own.wordnet", {"folder": "/data"}),
        "own.wordnet has the name of a data set that is there",
        "give it another",
    ),
    "ranker with a control's name": (
        ("rankers.copy", RANKER),
        "rankers.copy has a control's name",
        "change one of the two",
    ),
    "system of two recipes": (
        ("rankers.wordnet-long", RANKER | {"seed": 2, "arguments": {"max_steps": 9}}),
        "rankers.wordnet-item and rankers.wordnet-long have the same data, docids and loss, but other arguments",
        "give one a loss of another name, for a row of its own",
    ),
    "ranker that is there twice": (
        ("rankers.wordnet-again", RANKER),
        "rankers.wordnet-item and rankers.wordnet-again have the same data, docids and loss, and the same seed",
        "give one another seed, or remove it",
    ),
    "baseline that would be a control's row": (
        ("baselines.wordnet-random", BASELINE),
        "baselines.wordnet-random and a control would both be random in the tables of wordnet",
        OTHER_NAME,
    ),
    "baseline that would be a ranker's row": (
        ("baselines.item", BASELINE),
        "baselines.item and rankers.wordnet-item would both be item in the tables of wordnet",
        OTHER_NAME,
    ),
    "baseline that would be another's row": (
        ("baselines.bm25", BASELINE),
        "baselines.bm25 and baselines.wordnet-bm25 would both be bm25 in the tables of wordnet",
        OTHER_NAME,
    ),
    "template without its query": (
        ("prompt.corpus", "query: <docid>"),
        "prompt: corpus is 'query: <docid>'",
        f"it needs {{query}}, {TEMPLATES}",
    ),
    "template with its fields in another order": (
        ("prompt.in_context", "{candidates}; {query}"),
        "prompt: in_context is '{candidates}; {query}'",
        f"it needs {{query}} and {{candidates}}, {TEMPLATES}",
    ),
    "template of a candidate without it": (
        ("prompt.candidate", "- "),
        "prompt: candidate is '- '",
        f"it needs {{docid}}, {TEMPLATES}",
    ),
    "folder that is not absolute": (
        ("own", {"mine": {"folder": "my/data"}}),
        "own.mine: folder 'my/data' isn't an absolute path",
        "`make run DATA=...` takes any",
    ),
    "gains that are not whole": (
        ("prepare_esci.gains", {"E": 1, "S": 1, "I": 0}),
        "prepare_esci: gains has E, S, I",
        "it needs E, S, C and I",
    ),
    "too small": (("rank.beams", 0), "rank.beams is 0", "Input should be greater than 0"),
    "negative": (
        ("losses.item.alpha", -0.5),
        "losses.item.alpha is -0.5",
        "Input should be greater than or equal to 0",
    ),
    "negative in a list": (
        ("sweep.beta", [1, -1]),
        "sweep.beta.1 is -1",
        "Input should be greater than or equal to 0",
    ),
    "too large": (("prepare_wordnet.test", 1), "prepare_wordnet.test is 1", "Input should be less than 1"),
    "at the open end": (("losses.geometric.rho", 1), "losses.geometric.rho is 1", "Input should be less than 1"),
    "vocabulary": (
        ("docids.vocabulary_size", 299),
        "docids.vocabulary_size is 299",
        "Input should be greater than or equal to 300",
    ),
    "text for a number": (("rank.beams", "many"), "rank.beams is 'many'", WHOLE),
    "quoted number": (("fit_baseline.steps", "400"), "fit_baseline.steps is '400'", WHOLE),
    "yes for a number": (("finetune.threads", True), "finetune.threads is True", WHOLE),
    "fraction": (("evaluate.resamples", 3.5), "evaluate.resamples is 3.5", WHOLE),
    "fraction in a scheme": (
        ("docids.schemes.rq.levels", 2.5),
        "docids.schemes.rq.levels is 2.5",
        WHOLE,
    ),
    "infinity": (
        ("fit_baseline.learning_rate", float("inf")),
        "fit_baseline.learning_rate is inf",
        "Input should be a finite number",
    ),
    "infinity where other weights may be it": (
        ("losses.item.gamma", float("inf")),
        "losses.item.gamma is inf",
        "Input should be a finite number",
    ),
    "number for text": (("prepare_wordnet.root", 3), "prepare_wordnet.root is 3", "Input should be a valid string"),
    "word for a list": (("datasets", "wordnet"), "datasets is 'wordnet'", "Input should be a valid list"),
    "empty list": (("datasets", []), "datasets is []", "List should have at least 1 item after validation, not 0"),
    "no ranker": (("rankers", {}), "rankers is {}", "Dictionary should have at least 1 item after validation, not 0"),
    "name that DVC would split": (
        ("rankers.wordnet-item.loss", "item2.5"),
        "rankers.wordnet-item.loss is 'item2.5'",
        r"String should match pattern '^[\w-]+$'",
    ),
    "key that DVC would split": (
        ("own", {"my.data": {"folder": "/a"}}),
        "own.my.data is not a setting",
        r"String should match pattern '^[\w-]+$'",
    ),
    "value for a section": (("finetune", 3), "finetune is 3", SECTION),
    "nothing for a section": (("docids", None), "docids is None", SECTION),
    "value for a section of a section": (("prepare_esci.teacher", "me"), "prepare_esci.teacher is 'me'", SECTION),
    "value for the losses": (("losses", 3), "losses is 3", SECTION),
    "value for a loss": (("losses.item", 3), "losses.item is 3", SECTION),
    "value for a ranker": (("rankers.wordnet-item", 3), "rankers.wordnet-item is 3", SECTION),
}


@pytest.mark.parametrize(("assignment", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_the_sections(assignment, what, remedy, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(changed(assignment), sort_keys=False))
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert (failure.value.what, failure.value.remedy) == (f"{path}: {what}", remedy)
    assert str(failure.value).count("\n") == 1


@pytest.mark.parametrize("name", ["copy", "bm25"])
def test_a_loss_with_the_name_of_another_system(name):
    given = changed((f"losses.{name}", {"rule": "ntp"}), ("rankers.wordnet-mine", RANKER | {"loss": name}))
    with pytest.raises(UserError, match=f"rankers.wordnet-mine.* would both be {name} in the tables of wordnet\n"):
        params.validate(given, "params.yaml")


def test_a_system_may_have_several_seeds_and_others_have_the_same_name_elsewhere():
    params.validate(
        changed(
            ("rankers.wordnet-item-2", RANKER | {"seed": 2}),
            ("catalogues.wordnet-rq", {"data": "wordnet", "docids": "rq"}),
            ("rankers.wordnet-rq-item", RANKER | {"docids": "rq", "arguments": {"max_steps": 9}}),
            ("baselines.products-dual", {"kind": "dual", "data": "products", "docids": "rq", "width": 8, "seed": 1}),
        ),
        "params.yaml",
    )


def test_every_type_that_a_section_is_made_of_is_found_by_its_place():
    """For each section, dictionary of sections and member of a union: a wrong key in it is told with its keys."""
    found = {}
    for path, section in sections_in(SECTIONS):
        with pytest.raises(UserError) as failure:
            params.validate(set_in(SECTIONS, [*path, "no such key"]), "here")
        name = ".".join(path)
        assert failure.value.what == f"here: {'.'.join([*path, 'no such key'])} is not a setting"
        found[name] = set(failure.value.remedy.rpartition("valid: ")[2].split(", "))
        assert section.keys() <= found[name], name
    assert {"docids.vectoriser", "rankers.wordnet-item", "baselines.wordnet-cross", "losses.token"} <= found.keys()


def set_in(tree, path):
    """A tree of sections with one more value in it."""
    key, *below = path
    return {**tree, key: set_in(tree[key], below) if below else 1}


def sections_in(tree, path=()):
    """The parts of params.yaml whose keys are fixed: not dictionaries by name, nor options passed on as they are."""
    kind = params.place(path)[1] if path else Settings
    _, members = params.union(kind)
    if members or hasattr(kind, "model_fields"):
        yield path, tree
    for key, value in tree.items():
        if isinstance(value, dict) and not members:
            yield from sections_in(value, (*path, key))


# the same machinery; what differs is the place that the first line names
IN_A_PRESET = {
    "key": (
        {"rank": {"beam": 1}},
        "params.yaml, preset mine: rank.beam is not a setting",
        f"did you mean beams? valid: {RANK}",
    ),
    "clash": (
        {"rankers": {"wordnet-item": {"docids": "rq"}}},
        "params.yaml, preset mine: rankers.wordnet-item needs wordnet-rq, which catalogues lacks",
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
        (["steps"], "override 'steps' isn't of the form section.key=value", "for example rank.beams=30"),
        (["=3"], "override '=3' isn't of the form section.key=value", "for example rank.beams=30"),
        (["a..b=3"], "override 'a..b=3' isn't of the form section.key=value", "for example rank.beams=30"),
        ([""], "override '' isn't of the form section.key=value", "for example rank.beams=30"),
        (
            ["datasets=[wordnet"],
            "override 'datasets=[wordnet': '[wordnet' isn't valid YAML",
            "quote it, or close its bracket",
        ),
        (
            ["rank.beams=3", "rank.beems=3"],
            "the overrides: rank.beems is not a setting",
            f"did you mean beams? valid: {RANK}",
        ),
        (["rank.beams=-1"], "the overrides: rank.beams is -1", "Input should be greater than 0"),
        (["rank=3"], "the overrides: rank is 3", SECTION),
        (["rank.beams.x=3"], "the overrides: rank.beams is {'x': 3}", WHOLE),
        (["rank.beams=null"], "the overrides: rank.beams is missing", MISSING),
        (["rank="], "the overrides: rank is missing", MISSING),
        (
            ["losses.item=null"],
            "the overrides: rankers.wordnet-item names the loss 'item', which losses lacks (it has "
            f"{', '.join(name for name in SECTIONS['losses'] if name != 'item')})",
            "change one of the two",
        ),
        (
            ["losses.item.rule=itme"],
            "the overrides: losses.item.rule is 'itme'",
            f"did you mean item? valid: {RULES}",
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
