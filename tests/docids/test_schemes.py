import json
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from arrange.docids import rq, rqvae, semantic, sparse, tokens, trie
from arrange.docids.codes import path_of
from arrange.docids.judged import Judged
from arrange.docids.schemes import (
    Assignment,
    Atomic,
    Lexical,
    Numeric,
    Rq,
    Rqvae,
    Scheme,
    Semantic,
    Shuffled,
    Sparse,
    Text,
    build,
    extend,
    load,
)
from arrange.errors import UserError

SETTINGS: dict[str, Scheme] = {
    "text": Text(least_words=1),
    "numeric": Numeric(),
    "atomic": Atomic(),
    "semantic": Semantic(clusters=3, leaf=4, seed=1),
    "shuffled": Shuffled(clusters=3, leaf=4, seed=1),
    "rq": Rq(levels=2, codebook=4, seed=1),
    "rq_balanced": Rq(levels=2, codebook=4, seed=1, balanced=True),
    "rqvae": Rqvae(levels=2, codebook=4, steps=5, seed=1),
    "sparse": Sparse(atoms=8, nonzeros=2, seed=1),
    "lexical": Lexical(words=2, vocabulary=50, steps=3, seed=1),
}
RNG = np.random.default_rng(0)
# Few words and few distinct vectors, so that every scheme has collisions, among the old and with newcomers.
TEXTS = [" ".join(words) for words in RNG.choice(["red", "blue", "hat", "shoe"], (60, 3))]
VECTORS_DE = RNG.integers(-1, 2, (60, 4)).astype(np.float32)
every_scheme = pytest.mark.parametrize("scheme", SETTINGS)


def first(scheme: str, count: int) -> Assignment:
    return build(SETTINGS[scheme], TEXTS[:count], VECTORS_DE[:count])


def test_the_schemes_that_are_tested_are_called_as_in_params_yaml() -> None:
    assert {type(scheme) for scheme in SETTINGS.values()} <= set(get_args(Scheme))
    assert {scheme.scheme for scheme in SETTINGS.values()} == {name.partition("_")[0] for name in SETTINGS}


@every_scheme
def test_old_docids_stay_and_all_are_unique(scheme: str) -> None:
    built = first(scheme, 40)
    grown = extend(built, TEXTS[40:], VECTORS_DE[40:])
    assert grown.docids[:40] == built.docids
    assert grown.codes[: len(built.codes)] == built.codes
    assert len(set(grown.docids)) == len(grown.docids) == len(grown.texts) == 60
    assert grown.arrays == built.arrays
    assert (grown.codes == built.codes) == (scheme != "atomic")
    codes = {piece for docid in grown.docids for piece in docid if piece.startswith("<")}
    assert codes <= set(grown.codes)
    assert bool(codes) == (scheme in ("atomic", "semantic", "shuffled", "rq", "rq_balanced", "rqvae"))


@every_scheme
def test_an_assignment_is_the_same_again_from_its_file_too(scheme: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        first(scheme, 40).save(tmp_path / folder)
    for name in ("assignment.json", "docids.parquet", "arrays.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    grown, again = (extend(c, TEXTS[40:], VECTORS_DE[40:]) for c in (first(scheme, 40), load(tmp_path / "one")))
    assert again.docids == grown.docids
    assert vars(again) | {"arrays": {}} == vars(grown) | {"arrays": {}}
    for name, array in grown.arrays.items():
        assert np.array_equal(again.arrays[name], array)


@pytest.mark.parametrize("scheme", ["numeric", "atomic", "semantic", "rq", "rq_balanced", "rqvae", "sparse", "lexical"])
def test_growing_twice_is_growing_once(scheme: str) -> None:
    once = extend(first(scheme, 30), TEXTS[30:], VECTORS_DE[30:])
    twice = extend(extend(first(scheme, 30), TEXTS[30:40], VECTORS_DE[30:40]), TEXTS[40:], VECTORS_DE[40:])
    assert (twice.docids, twice.codes, twice.collisions) == (once.docids, once.codes, once.collisions)


@every_scheme
def test_growing_by_nothing_changes_nothing(scheme: str) -> None:
    built = first(scheme, 20)
    assert extend(built, [], VECTORS_DE[:0]).docids == built.docids
    with pytest.raises(UserError, match="no documents"):
        build(SETTINGS[scheme], [], VECTORS_DE[:0])


@every_scheme
def test_docids_make_a_trie(scheme: str) -> None:
    grown = extend(first(scheme, 50), TEXTS[50:], VECTORS_DE[50:])
    tokenizer = tokens.train_tokenizer(TEXTS, 300)
    spelt = tokens.encode_docids(tokenizer, grown.docids, grown.codes)
    assert trie.build(spelt).describe()["documents"] == 60
    if grown.codes:  # a code is one token; then the end token
        assert [len(ids) - 1 for ids in spelt] == [len(docid) for docid in grown.docids]


@settings(max_examples=30, deadline=None)
@example("lexical", [0], 1)  # "a" is a stop word, and there is no other
@given(st.sampled_from(sorted(SETTINGS)), st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 12))
def test_old_stay_and_all_are_unique_whatever_the_documents(scheme: str, points: list[int], cut: int) -> None:
    """Down to one document, and to catalogues of which all vectors are equal or zero."""
    vectors_DE = np.array([[point % 3, point // 3] for point in points], np.float32)
    texts = ["a", "a b", "a b c", "b", "a (2)", "a  b"]
    built = build(SETTINGS[scheme], [texts[point] for point in points[:cut]], vectors_DE[:cut])
    grown = extend(built, [texts[point] for point in points[cut:]], vectors_DE[cut:])
    assert grown.docids[:cut] == built.docids
    assert len(set(grown.docids)) == len(points)


def test_text_by_hand() -> None:
    built = build(Text(least_words=1), ["red wool hat", "red shoe", "blue shoe", "red  shoe"])
    assert built.docids == [("red wool",), ("red shoe",), ("blue",), ("red shoe (2)",)]
    assert (built.collisions, built.codes) == (1, [])
    # "red" is free; two words of the scarf begin an old title, too; "blue" and "red shoe" are taken.
    grown = extend(built, ["red", "red wool scarf xl", "blue", "red shoe"])
    assert grown.docids[4:] == [("red",), ("red wool scarf",), ("blue (2)",), ("red shoe (3)",)]
    assert grown.collisions == 3


def test_numbers_have_one_width_until_there_are_more() -> None:
    built = build(Numeric(), ["x"] * 10)
    assert [docid for (docid,) in built.docids] == list("0123456789")
    assert build(Numeric(), ["x"] * 11).docids[7] == ("07",)
    assert extend(built, ["x"]).docids[10] == ("10",)
    assert extend(built, ["x"] * 1000).docids[10:] == [(str(row),) for row in range(10, 1010)]


def test_atomic_docids_are_tokens_of_their_own() -> None:
    grown = extend(build(Atomic(), ["x", "y"]), ["z"])
    assert grown.docids == [("<doc_0>",), ("<doc_1>",), ("<doc_2>",)]
    assert grown.codes == ["<doc_0>", "<doc_1>", "<doc_2>"]


def test_newcomers_get_the_codes_of_their_vector_and_the_next_number() -> None:
    for scheme in ("semantic", "rq", "sparse"):
        built = first(scheme, 40)
        paths = list(map(path_of, built.docids))
        for docid in extend(built, ["x"] * 40, VECTORS_DE[:40]).docids[40:43]:
            if scheme == "sparse":
                assert docid[0].endswith(")")
            else:
                serial = paths.count(path_of(docid))
                assert docid[len(path_of(docid)) :] == tuple(f"<n_{digit}>" for digit in np.base_repr(serial, 4))


def test_codes_are_those_of_the_schemes_own_modules() -> None:
    coded = first("rq", 60)
    codes_DL = rq.encode(rq.fit(VECTORS_DE, 2, 4, seed=1), VECTORS_DE).tolist()
    assert [path_of(docid) for docid in coded.docids] == [(f"<a_{a}>", f"<b_{b}>") for a, b in codes_DL]
    assert coded.collisions == 60 - len({tuple(codes) for codes in codes_DL})
    assert len(coded.codes) == 2 * 4 + 4

    learned = rqvae.encode(rqvae.fit(VECTORS_DE, 2, 4, steps=5, seed=1), VECTORS_DE).tolist()
    assert [path_of(docid) for docid in first("rqvae", 60).docids] == [(f"<a_{a}>", f"<b_{b}>") for a, b in learned]
    _, balanced_DL = rq.fit_balanced(VECTORS_DE, 2, 4, seed=1)
    found = [path_of(docid) for docid in first("rq_balanced", 60).docids]
    assert found == [(f"<a_{a}>", f"<b_{b}>") for a, b in balanced_DL.tolist()]

    paths = semantic.encode(**semantic.fit(VECTORS_DE, 3, 4, seed=1), vectors_DE=VECTORS_DE)
    clustered = first("semantic", 60)
    letters = [tuple(f"<{'abcdef'[level]}_{code}>" for level, code in enumerate(path)) for path in paths]
    assert [path_of(docid) for docid in clustered.docids] == letters
    assert clustered.collisions == 60 - len(set(paths))
    assert len(clustered.codes) == 3 * max(map(len, paths)) + 4

    atoms = sparse.encode(sparse.fit(VECTORS_DE, 8, seed=1), VECTORS_DE, nonzeros=2)
    spelt = first("sparse", 60)
    assert [docid.partition(" ")[0] for (docid,) in spelt.docids] == atoms
    assert spelt.collisions == 60 - len(set(atoms)) == sum("(" in docid for (docid,) in spelt.docids)


def test_shuffled_are_the_semantic_docids_in_another_order() -> None:
    ordered, dealt = first("semantic", 60), first("shuffled", 60)
    assert sorted(dealt.docids) == sorted(ordered.docids)
    assert sum(one == two for one, two in zip(dealt.docids, ordered.docids, strict=True)) < 10
    assert (dealt.codes, dealt.collisions) == (ordered.codes, ordered.collisions)
    other = build(Shuffled(clusters=3, leaf=4, seed=2), TEXTS, VECTORS_DE)
    assert other.docids != dealt.docids
    # The cluster of a new document doesn't depend on its vector, but it is one of the old clusters.
    newcomers = [extend(dealt, ["x"] * 5, vectors_DE).docids[60:] for vectors_DE in (VECTORS_DE[:5], -VECTORS_DE[:5])]
    assert newcomers[0] == newcomers[1]
    joined = list(map(path_of, newcomers[0]))
    assert set(joined) <= set(map(path_of, dealt.docids))
    assert joined != list(map(path_of, dealt.docids[:5]))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"scheme": "rq", "levels": 14, "codebook": 4, "seed": 1}, "levels"),
        ({"scheme": "rq", "levels": 2, "codebook": 1, "seed": 1}, "codebook"),
        ({"scheme": "rq", "levels": 2, "codebook": 4, "seed": -1}, "seed"),
        ({"scheme": "semantic", "clusters": 1, "leaf": 4, "seed": 1}, "clusters"),
        ({"scheme": "text", "least_words": 0}, "least_words"),
        ({"scheme": "sparse", "atoms": 0, "nonzeros": 1, "seed": 1}, "atoms"),
        ({"scheme": "rq", "levels": 2, "codebook": 4, "seed": 1, "relevance": 1.0}, "relevance"),
        ({"scheme": "rqvae", "levels": 2, "codebook": 4, "steps": 0, "seed": 1}, "steps"),
        ({"scheme": "lexical", "words": 0, "vocabulary": 4, "steps": 1, "seed": 1}, "words"),
    ],
)
def test_settings_have_bounds_that_pydantic_enforces(settings: dict[str, object], key: str) -> None:
    adapter = TypeAdapter(Annotated[Scheme, Field(discriminator="scheme")])
    with pytest.raises(ValidationError) as error:
        adapter.validate_json(json.dumps(settings), strict=True)
    assert [each["loc"][-1] for each in error.value.errors()] == [key]


@pytest.mark.parametrize("scheme", [Rq, Rqvae])
def test_relevance_makes_documents_of_the_same_queries_begin_alike(scheme: type[Rq] | type[Rqvae]) -> None:
    vectors_DE = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    # Each query has one document of each direction.
    judged = Judged(["p", "q", "r"], np.repeat(np.arange(3), 4), np.arange(12).reshape(4, 3).T.ravel())
    more = {"steps": 50} if scheme is Rqvae else {}
    plain, near = (scheme(levels=1, codebook=3, seed=1, relevance=share, **more) for share in (0.0, 0.9))
    with pytest.raises(UserError, match="relevance needs training queries"):
        build(near, ["x"] * 12, vectors_DE, judged)
    judged = Judged(judged.texts, judged.query_P, judged.document_P, np.eye(4, dtype=np.float32)[[1, 2, 3]])
    by_query = [{docid[0] for docid in build(near, ["x"] * 12, vectors_DE, judged).docids[row::3]} for row in range(3)]
    assert [len(codes) for codes in by_query] == [1, 1, 1]
    assert len(set.union(*by_query)) == 3
    assert build(plain, ["x"] * 12, vectors_DE, judged).docids == build(plain, ["x"] * 12, vectors_DE).docids


def test_more_levels_than_letters_are_refused_without_pydantic_too() -> None:
    with pytest.raises(UserError, match="codes of 14 levels"):
        build(Rq(levels=14, codebook=4, seed=1), TEXTS, VECTORS_DE)


@pytest.mark.parametrize("scheme", [name for name, scheme in SETTINGS.items() if scheme.needs_vectors])
def test_vectors_that_are_missing_or_do_not_fit_are_refused(scheme: str) -> None:
    with pytest.raises(UserError, match="none were given"):
        build(SETTINGS[scheme], TEXTS)
    with pytest.raises(UserError, match="60 documents and 59 vectors"):
        build(SETTINGS[scheme], TEXTS, VECTORS_DE[:59])
    with pytest.raises(UserError, match="vectors of 3 numbers for docIDs that were built with 4"):
        extend(first(scheme, 60), TEXTS, VECTORS_DE[:, :3])


@pytest.mark.parametrize("name", ["assignment.json", "docids.parquet", "arrays.safetensors"])
def test_a_damaged_or_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    first("rq", 20).save(tmp_path / "rq")
    (tmp_path / "rq" / name).write_bytes((tmp_path / "rq" / name).read_bytes()[:-5])
    with pytest.raises(UserError, match="cannot be read as an assignment"):
        load(tmp_path / "rq")
    (tmp_path / "rq" / name).unlink()
    with pytest.raises(UserError, match="build the docIDs again"):
        load(tmp_path / "rq")
