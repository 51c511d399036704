import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from arrange.docids import lexical, lexical_training
from arrange.docids.judged import Judged
from arrange.errors import UserError

TEXTS = ["red wool hat", "red shoe", "blue shoe", "garden hose", "green garden hose", "wool sock"]
QUERIES = ["warm head", "warm feet", "rain"]
JUDGED = Judged(QUERIES, np.array([0, 1, 1, 1, 2, 2]), np.array([0, 1, 2, 5, 3, 4]))


def by_hand(terms: list[str], in_documents: list[bool], scores: list[list[float]]) -> lexical.Arrays:
    """A model without texts: the words' scores at each place, given as embeddings of the places."""
    words = len(terms)
    zero_HH, zero_H = np.zeros((words, words), np.float32), np.zeros(words, np.float32)
    return {
        "terms": np.frombuffer("\n".join(terms).encode(), np.uint8),
        "idf_V": np.ones(words, np.float32),
        "in_documents_V": np.array(in_documents),
        "embedding_VH": np.eye(words, dtype=np.float32),
        "previous_VH": zero_HH,
        "place_NH": np.array(scores, np.float32),
        "inner_HH": zero_HH,
        "inner_H": zero_H,
        "outer_HH": zero_HH,
        "outer_H": zero_H,
        "bias_V": zero_H,
    }


def test_words_are_picked_by_score_each_once_and_only_those_of_documents() -> None:
    # "rain" is no document's word. At the second place "hat" is best, but taken by the first.
    arrays = by_hand(["hat", "rain", "shoe", "wool"], [True, False, True, True], [[9, 99, 0, 1], [9, 99, 2, 5]])
    assert lexical.encode(arrays, ["?"], used=[]) == (["hat wool"], 0)


def test_of_two_that_want_one_name_the_later_takes_the_next_best_last_word() -> None:
    arrays = by_hand(["hat", "rain", "shoe", "wool"], [True, True, True, True], [[9, 0, 0, 1], [9, 1, 2, 5]])
    names, moved = lexical.encode(arrays, ["?"] * 3, used=["hat shoe"])
    assert (names, moved) == (
        ["hat wool", "hat rain", "hat wool"],
        1,
    )  # the third finds nothing free: the caller numbers


def test_a_text_adds_its_words_and_words_before_count() -> None:
    arrays = by_hand(["hat", "shoe", "wool"], [True] * 3, [[0, 0, 0], [0, 0, 0]])
    arrays["previous_VH"] = np.array([[0, 0, 5], [0, 0, 0], [0, 4, 0]], np.float32)
    # "hat shoe": both weigh 0.71; hat is first of equal ones, and behind it comes wool. Behind wool comes shoe.
    assert lexical.encode(arrays, ["hat shoe", "wool"], used=[]) == (["hat wool", "wool shoe"], 0)


def test_documents_keywords_come_first_then_those_of_their_queries() -> None:
    weights_QV = csr_matrix(np.array([[0.6, 0.0, 0.8], [1.0, 0, 0]], np.float32))
    judged = Judged(["x", "y"], np.array([0, 1]), np.array([1, 1]))
    of_queries_DV = lexical._of_queries(judged, weights_QV, np.array([True, True, False]), documents=2)
    assert of_queries_DV.toarray().tolist() == [[0, 0, 0], [pytest.approx(0.8), 0, 0]]
    weights_DV = csr_matrix(np.array([[0, 1, 0], [0, 1, 0]], np.float32))
    more_DV = weights_DV + lexical.OF_QUERIES * of_queries_DV
    assert lexical.keywords(more_DV, 2).tolist() == [[1, -1], [1, 0]]


def test_the_pairwise_loss_by_hand() -> None:
    agreement_BB = torch.tensor([[2.0, 1.0, 5.0], [3.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    wrong_BB = torch.tensor([[False, True, False], [True, False, True], [False, False, False]])
    expected = (np.log1p(np.exp(-1)) + np.log1p(np.exp(0)) + np.log1p(np.exp(-3))) / 3
    assert lexical_training.pairwise(agreement_BB, wrong_BB).item() == pytest.approx(expected)
    assert lexical_training.pairwise(agreement_BB, wrong_BB & False).item() == 0


def test_pairs_are_drawn_by_document_and_known_by_number() -> None:
    many = Judged(["q"] * 50, np.array([*range(50), 3]), np.array([1] * 50 + [0]))
    pairs = lexical_training.Pairs(many)
    torch.manual_seed(0)
    drawn = [pairs.draw() for _ in range(20)]
    documents = torch.cat([document_B for _, document_B in drawn])
    assert 0.4 < (documents == 0).float().mean() < 0.6
    for query_B, document_B in drawn:
        assert (query_B[document_B == 0] == 3).all()
        assert pairs.contain(query_B, document_B).diagonal().all()
    contained = pairs.contain(torch.tensor([3, 4]), torch.tensor([0, 1]))
    assert contained.tolist() == [[True, True], [False, True]]


def test_picking_in_torch_is_picking_in_numpy() -> None:
    arrays = lexical.fit(TEXTS, JUDGED, words=3, vocabulary=100, steps=30, seed=1)
    names, _ = lexical.encode(arrays, TEXTS, used=[])
    terms = arrays["terms"].tobytes().decode().split("\n")
    model = lexical_training.Picker(3, torch.from_numpy(arrays["in_documents_V"]))
    inner = {"inner_HH": "inner.weight", "inner_H": "inner.bias", "outer_HH": "outer.weight", "outer_H": "outer.bias"}
    weights = {inner.get(name, name): array for name, array in arrays.items()}
    model.load_state_dict({name: torch.from_numpy(weights[name]) for name in model.state_dict()})
    counter = lexical._counter(vocabulary=terms)
    counter.idf_ = arrays["idf_V"]
    path_DN = model.pick(torch.from_numpy(counter.transform(TEXTS).toarray()))
    picked = [" ".join(terms[word] for word in path_N) for path_N in path_DN.tolist()]
    assert len(set(picked)) > 3
    assert [name for name, best in zip(names, picked, strict=True) if picked.count(best) == 1] == [
        best for best in picked if picked.count(best) == 1
    ]


def test_keywords_alone_teach_a_document_its_own_words() -> None:
    arrays = lexical.fit(TEXTS, None, words=2, vocabulary=100, steps=150, seed=1)
    names, moved = lexical.encode(arrays, TEXTS, used=[])
    counter = lexical._counter().fit(TEXTS)
    terms = counter.get_feature_names_out()
    expected = [
        " ".join(terms[word] for word in path_N) for path_N in lexical.keywords(counter.transform(TEXTS), 2).tolist()
    ]
    assert (names, moved) == (expected, 0)


def test_no_judgement_is_as_good_as_none_at_all() -> None:
    empty = np.empty(0, np.int64)
    one, two = (lexical.fit(TEXTS, judged, 2, 100, steps=5, seed=1) for judged in (None, Judged([], empty, empty)))
    assert one["embedding_VH"].tobytes() == two["embedding_VH"].tobytes()


def test_ranking_brings_documents_of_the_same_queries_together() -> None:
    """Documents of one word each, half of them asked for as "fruit": what they share are their queries alone."""
    fruits, tools = ["apple", "pear", "plum", "fruit"], ["saw", "drill", "file", "tool"]
    queries = [f"{kind} {word}" for kind in ("fruit", "tool") for word in ("cheap", "good", "new", "old")]
    pairs = [(query, 4 * (query // 4) + document) for query in range(8) for document in range(4)]
    judged = Judged(queries, *np.array(pairs).T)
    arrays = lexical.fit([*fruits, *tools], judged, words=2, vocabulary=100, steps=150, seed=1)
    names, _ = lexical.encode(arrays, [*fruits, *tools], used=[])
    assert len(set(names)) == 8
    assert all("fruit" in name.split() for name in names[:4])
    assert all("tool" in name.split() for name in names[4:])


@pytest.mark.parametrize("threads", [1, 2])
def test_same_texts_and_seed_give_the_same_bytes(threads: int) -> None:
    state = torch.get_rng_state()
    with threadpool_limits(threads):
        one, two, other = (lexical.fit(TEXTS, JUDGED, 2, 100, steps=20, seed=seed) for seed in (3, 3, 4))
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in two.items()
    }
    assert one["embedding_VH"].tobytes() != other["embedding_VH"].tobytes()
    assert torch.equal(torch.get_rng_state(), state)


def test_stop_words_name_documents_that_have_no_other_ones() -> None:
    some = lexical.fit(["the hat", "a shoe"], None, 2, 100, 1, 1)
    assert some["terms"].tobytes() == b"hat\nshoe"
    judged = Judged(["hat"], np.array([0]), np.array([0]))
    arrays = lexical.fit(["the", "?"], judged, 1, 100, 1, 1)
    assert arrays["terms"].tobytes() == b"hat\nthe"
    assert lexical.encode(arrays, ["the", "?"], used=[]) == (
        ["the", "the"],
        0,
    )  # there is no other word: numbered later


def test_texts_without_words_are_refused() -> None:
    with pytest.raises(UserError, match="no document has one of the 100 most"):
        lexical.fit(["-", "?"], None, 2, 100, 1, 1)
    with pytest.raises(UserError, match="no document has one of the 1 most"):
        lexical.fit(["hat", "shoe"], Judged(["rain rain"], np.array([0]), np.array([0])), 2, 1, 1, 1)
