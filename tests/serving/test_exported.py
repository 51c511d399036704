"""Exported rankers against the unpacked pass over all documents, and the errors for damaged ones."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import small_export
import torch
from small_export import IDS, IN_CONTEXT, QUERIES

from arrange.decoding.rank import rank
from arrange.docids import tokens
from arrange.errors import UserError
from arrange.serving import exported
from arrange.training import examples, unpacked
from arrange.training.packing import docid_tokens
from arrange.training.settings import Prompt


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A ranker that reads its candidates."""
    return exported.load(small_export.write(tmp_path_factory.mktemp("exports") / "read", **IN_CONTEXT))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def scores_of(ranker, prompt, rows=tuple(range(8))):
    """Id -> log-probability of each docID behind a prompt, each in a sequence of its own."""
    docids = [ranker.catalogue.docids["tokens"][row].to_list() for row in rows]
    with torch.no_grad():
        scores = unpacked.document_log_probabilities(ranker.model, prompt, docids).tolist()
    return dict(zip([IDS[row] for row in rows], scores, strict=True))


def prompt_of(ranker, query):
    [(head, tail)] = tokens.encode_prompts(ranker.catalogue.tokenizer, ranker.recipe.template, [query], 12)
    return [*head, *tail]


def best(scores, k=10):
    return sorted(scores, key=scores.get, reverse=True)[:k]


def ids(ranked):
    return [found.doc_id for found in ranked]


def test_a_wide_beam_ranks_as_the_unpacked_pass_over_all_documents(ranker):
    for query, found in zip(QUERIES, ranker.rank(QUERIES, k=8, beams=8), strict=True):
        scores = scores_of(ranker, prompt_of(ranker, query))
        assert ids(found) == best(scores)
        assert [each.log_probability for each in found] == pytest.approx(sorted(scores.values())[::-1], abs=1e-5)
        assert [each.text for each in found] == [f"the {small_export.NAMES[int(i[1:])]}\nof all" for i in ids(found)]


def test_the_first_k_of_the_recipes_beam_and_more_beams_for_more_documents(ranker):
    four = ranker.rank(QUERIES, k=4)
    assert [found[:2] for found in four] == ranker.rank(QUERIES, k=2)
    assert ranker.rank(QUERIES, k=6) == ranker.rank(QUERIES, k=6, beams=6)
    assert [len(found) for found in ranker.rank(QUERIES, k=100)] == [8, 8, 8]
    assert ranker.rank([]) == []


def test_among_gives_the_best_of_those_and_no_others(ranker):
    chosen = ["d6", "d1", "d1", "d3"]
    for query, found in zip(QUERIES, ranker.rank(QUERIES, among=chosen), strict=True):
        scores = scores_of(ranker, prompt_of(ranker, query))
        assert ids(found) == best({each: scores[each] for each in chosen})
    assert ranker.rank(QUERIES[:2], among=[]) == [[], []]


def test_a_query_is_answered_alone_as_beside_others(ranker, reader):
    for one, among in ((ranker, None), (reader, IDS)):
        together = one.rank(QUERIES, k=3, among=among)
        for query, found in zip(QUERIES, together, strict=True):
            [alone] = one.rank([query], k=3, among=among)
            assert ids(alone) == ids(found)
            assert [f.log_probability for f in alone] == pytest.approx([f.log_probability for f in found], abs=1e-5)


def test_requests_are_answered_together_as_each_alone(ranker, reader):
    chosen = ["d6", "d1", "d3"]
    right = [
        exported.Asked(QUERIES[:2], 3),
        exported.Asked(QUERIES, 2, chosen),
        exported.Asked(QUERIES[2:], 6),
        exported.Asked([], 2),
        exported.Asked(QUERIES[1:], 4, IDS[:4]),
        exported.Asked(QUERIES[:1], 2, [], 8),
    ]
    for one in (ranker, reader):
        requests = [asked._replace(among=asked.among or chosen) for asked in right] if one is reader else right
        together = one.rank_together(requests)
        for asked, found in zip(requests, together, strict=True):
            alone = one.rank(asked.queries, asked.k, among=asked.among, beams=asked.beams)
            assert [ids(each) for each in found] == [ids(each) for each in alone]
            for mine, its in zip(found, alone, strict=True):
                assert [f.log_probability for f in mine] == pytest.approx([f.log_probability for f in its], abs=1e-5)


def test_a_wrong_request_has_its_error_for_an_answer_and_spoils_no_other(ranker, reader):
    for one in (ranker, reader):
        requests = [exported.Asked(["fox"], 2, IDS[:3]), exported.Asked(["fox"], 0), exported.Asked([" "], 2, IDS)]
        found, none, empty = one.rank_together([*requests])
        assert ids(found[0]) == ids(one.rank(["fox"], 2, among=IDS[:3])[0])
        assert (none.what, empty.what) == ("k is 0", "query 0 is ' '")


def test_a_longer_query_is_cut_as_in_training(ranker):
    long = " ".join(["hen"] * 40)
    assert ids(ranker.rank([long])[0]) == best(scores_of(ranker, prompt_of(ranker, long)))


@pytest.mark.parametrize("score", ["sum", "mean"])
def test_candidates_in_the_prompt_are_scored_in_full(tmp_path, score):
    reader = exported.load(small_export.write(tmp_path / "read", **IN_CONTEXT, score=score))
    rows = np.array([1, 4, 7])
    docids = docid_tokens([reader.catalogue.docids["tokens"][int(row)].to_list() for row in rows])
    around = tokens.literal(reader.catalogue.tokenizer, ""), tokens.literal(reader.catalogue.tokenizer, "; ")
    [prompt] = tokens.encode_prompts(reader.catalogue.tokenizer, IN_CONTEXT["template"], QUERIES[:1], 12)
    judged = [(np.arange(3), np.ones(3))]
    shown = examples.Examples([prompt], judged, docids, 0, around, seed=1)
    scores = scores_of(reader, examples.prompt_of(shown, 0), rows.tolist())
    if score == "mean":
        scores = {each: value / len(reader.catalogue.docids["tokens"][int(each[1:])]) for each, value in scores.items()}
    [found] = reader.rank(QUERIES[:1], among=["d7", "d1", "d4"])
    assert ids(found) == best(scores)
    assert [each.log_probability for each in found] == pytest.approx(sorted(scores.values())[::-1], abs=1e-5)
    assert reader.rank(QUERIES, among=[]) == [[], [], []]


def test_in_context_the_exported_ranker_gives_the_scores_of_the_run(reader):
    """The run's queries stand in other rows, and their judgements in another order, than what is asked later."""
    among = {"q2": ["d7", "d1", "d4", "d0"], "q0": ["d3", "d2", "d6"], "q1": IDS}
    texts = dict(zip(("q0", "q1", "q2"), QUERIES, strict=True))
    queries = pl.DataFrame({"query_id": list(among), "text": [texts[query] for query in among]})
    judged = [(query, doc_id, rank + 1) for query, ids in among.items() for rank, doc_id in enumerate(ids)]
    qrels = pl.DataFrame(judged, schema=["query_id", "doc_id", "rank"], orient="row")
    templates = {"in_context": IN_CONTEXT["template"], "candidate": IN_CONTEXT["candidate"], "corpus": "{query}"}
    prompt = Prompt(regime="in_context", query_tokens=12, score="sum", **templates)
    lists = examples.of_queries(queries, qrels, reader.catalogue, prompt, reader.recipe.seed)
    how = {"beams": 4, "batch_size": 3, "normaliser": "vocabulary", "score": "sum"}
    run = rank(reader.model, lists, reader.catalogue.trie, list(among), IDS, **how)
    for query, ids_of_query in among.items():
        [found] = reader.rank([texts[query]], among=ids_of_query)
        scored = run.filter(pl.col("query_id") == query)
        assert ids(found) == scored["doc_id"].to_list()
        assert [each.log_probability for each in found] == pytest.approx(scored["score"].to_list(), abs=1e-5)


@pytest.mark.parametrize(
    ("queries", "how", "what"),
    [
        (["dog", " \n"], {}, "query 1 is ' \\n'"),
        (["dog", 3], {}, "query 1 is 3"),
        (["dog", None], {}, "query 1 is None"),
        (["dog"], {"k": 0}, "k is 0"),
        (["dog"], {"k": 5, "beams": 4}, "4 beams can't find the 5 best documents"),
        (["dog"], {"among": ["d1", "wolf", "d2", "fox"]}, "2 of 4 ids are of no document, the first 'wolf'"),
    ],
)
def test_what_cannot_be_ranked_is_refused(ranker, queries, how, what):
    with pytest.raises(UserError) as failure:
        ranker.rank(queries, **how)
    assert failure.value.what == what


def test_a_ranker_of_candidates_wants_some_and_no_more_than_fit(reader, tmp_path):
    with pytest.raises(UserError, match=r"reads its candidates in the prompt\n.*among"):
        reader.rank(QUERIES)
    small = exported.load(small_export.write(tmp_path / "small", positions=40, **IN_CONTEXT))
    assert len(small.rank(["fox"], among=IDS[:2])[0]) == 2
    with pytest.raises(UserError, match=r"query 'fox': prompt and docID have \d+ tokens, the model's context 40"):
        small.rank(["fox"], among=IDS)


def test_the_same_ranker_gives_the_same_bytes_anywhere(folder, tmp_path):
    again = small_export.write(tmp_path / "elsewhere" / "b")
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert exported.identity(folder) == exported.identity(again)
    assert not any(str(tmp_path.parents[1]).encode() in content for content in files.values())


def test_the_folder_says_what_it_is(folder):
    page = (folder / "README.md").read_text()
    assert "\n---\n\n# animals-item: a ranker of the 8 documents of `animals`\n" in page
    assert "chosen among 2 by nDCG@10" in page
    assert "| | validation |\n|---|---|\n| nDCG@10 | 0.210 |\n| hit@1 | 0.500 |\n" in page
    assert "- ranker: `loss=item`, `seed=1`\n- loss: `rule=item`, `alpha=2.0`\n" in page
    assert "- data/queries: `0`\n" in page


def test_the_identity_is_that_of_content_and_names(copy):
    before = exported.identity(copy)
    (copy / "validation.parquet").rename(copy / "other.parquet")
    renamed = exported.identity(copy)
    (copy / "other.parquet").rename(copy / "validation.parquet")
    assert exported.identity(copy) == before
    (copy / "export.json").write_text("{}")
    assert len({before, renamed, exported.identity(copy)}) == 3


def refusal(folder):
    with pytest.raises(UserError) as failure:
        exported.load(folder)
    assert str(failure.value).count("\n") == 1
    return str(failure.value)


def test_weights_in_a_pickle_are_not_loaded(copy):
    ranker = exported.load(copy)
    torch.save(ranker.model.state_dict(), copy / "model" / "pytorch_model.bin")
    (copy / "model" / "model.safetensors").unlink()
    assert "no file named model.safetensors" in refusal(copy)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("export.json", "is no exported ranker: it has no export.json\ngive the folder of one"),
        ("trie.safetensors", "cannot be read as a trie"),
        ("documents.parquet", "is damaged: No such file or directory"),
        ("model/model.safetensors", "cannot load a model"),
        ("tokenizer/tokenizer.json", "no tokenizer"),
    ],
)
def test_a_part_that_is_missing_is_named(copy, file, what):
    (copy / file).unlink()
    assert what in refusal(copy)


def test_a_trie_with_another_byte_is_damaged(copy):
    path = copy / "trie.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "its contents do not match its checksum" in refusal(copy)


def test_parts_that_are_damaged_or_do_not_fit(copy):
    card = exported.read_card(copy)
    pl.read_parquet(copy / "documents.parquet").head(7).write_parquet(copy / "documents.parquet")
    assert "7 documents, 8 docIDs in the trie" in refusal(copy)
    (copy / "documents.parquet").write_bytes(b"no table")
    assert "is damaged" in refusal(copy)
    for damage, what in (
        ("{", "cannot be read"),
        ("[]", "is not of version 1"),
        (json.dumps(card | {"version": 2}), "is not of version 1 of the format arrange.export"),
        (json.dumps(card | {"recipe": {}}), "is damaged"),
    ):
        (copy / "export.json").write_text(damage)
        assert what in refusal(copy)
