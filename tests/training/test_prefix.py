"""The term on prefixes against values worked by hand, plain loops, and its limits."""

import math

import families
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrange.docids import trie
from arrange.training import columns, packing
from arrange.training import packed_pass as packed
from arrange.training.losses import Prefix
from arrange.training.prefix import prefix

RNG = np.random.default_rng(0)
DOCIDS = [[*ids, 2] for ids in sorted({tuple(RNG.integers(3, 9, RNG.integers(1, 5)).tolist()) for _ in range(50)})]
DOCIDS = [DOCIDS[row] for row in RNG.permutation(len(DOCIDS))]
INF = math.inf


def pack(docids, lists, normaliser="vocabulary"):
    """A batch of queries, each a list of (row, rank), rank inf for a judged negative; and the ranks."""
    catalogue = trie.build(docids)
    query_D = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    rows_D = np.array([row for rows in lists for row, _ in rows])
    batch = packing.pack(
        [[10 + query, 11] for query in range(len(lists))],
        packing.docid_tokens(docids),
        packing.Lists(query_D, rows_D),
        0,
        legal=columns.legal_tokens(catalogue, normaliser),
        siblings=catalogue,
    )
    return batch, torch.tensor([rank for rows in lists for _, rank in rows], dtype=torch.float64)


def random_log_p(batch, seed=0):
    """A distribution over 12 tokens at each output."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(batch["head"]), 12, generator=generator, dtype=torch.float64).log_softmax(1)


def loops(docids, lists, batch, log_p_NC, term):
    """The definition in the module's words, document by document."""
    values, place = [], 0
    for rows in lists:
        paths = []
        for row, rank in rows:
            edges, place = batch["path"][place], place + 1
            if rank == INF:
                continue
            losses = []
            for t, token in enumerate(docids[row]):
                log_p = log_p_NC[batch["edge_head"][edges[t]]].tolist()
                children = {ids[t] for ids in docids if ids[:t] == docids[row][:t]}
                at_least_as_good = {
                    docids[other][t] for other, r in rows if r <= rank and docids[other][:t] == docids[row][:t]
                }
                strongest = sorted((log_p[child] for child in children - at_least_as_good), reverse=True)
                ahead = [log_p[token] - other for other in strongest[: term.siblings]]
                if ahead and term.pairs == "hinge":
                    losses.append(np.mean([max(0.0, term.margin - x) for x in ahead]))
                elif ahead:
                    losses.append(np.mean([np.log1p(np.exp(-x)) for x in ahead]))
            if losses and term.worst:
                paths.append(np.log(np.mean(np.exp(term.worst * np.array(losses)))) / term.worst)
            else:
                paths.append(np.mean(losses) if losses else 0.0)
        values.append(np.mean(paths))
    return np.mean(values)


LIST = st.lists(
    st.tuples(st.integers(0, len(DOCIDS) - 1), st.sampled_from([1.0, 2.0, 3.0, INF])),
    min_size=1, max_size=7, unique_by=lambda pair: pair[0],
).map(lambda rows: [(rows[0][0], 1.0), *rows[1:]])  # fmt: skip
TERM = st.builds(
    Prefix,
    pairs=st.sampled_from(["logistic", "hinge"]),
    siblings=st.sampled_from([1, 2, 8]),
    worst=st.sampled_from([0.0, 1.5]),
    margin=st.just(0.5),
)


def test_by_hand():
    """The root has the children 3, 4, 7, of which 3 and 4 lead to listed documents; below 3 there are 5 and 6."""
    docids = [[3, 5, 2], [3, 6, 2], [4, 5, 2], [7, 2]]
    lists = [[(0, 1.0), (2, 2.0)]]
    batch, ranks_D = pack(docids, lists)
    log_p_NC = torch.full((len(batch["head"]), 8), -9.0, dtype=torch.float64)
    root, below_3 = batch["edge_head"][batch["path"][0, 0]], batch["edge_head"][batch["path"][0, 1]]
    log_p_NC[root, 3], log_p_NC[root, 4], log_p_NC[root, 7] = -1.0, -1.5, -0.5
    log_p_NC[below_3, 5], log_p_NC[below_3, 6] = -2.0, -0.2

    def value(**options):
        return prefix(log_p_NC, batch, ranks_D, Prefix(pairs="hinge", margin=0.3, **options)).item()

    # rank 1: 7 leads by 0.5 and 4 is 0.5 behind at the root, 6 leads by 1.8 below; rank 2: only 7 competes, by 1.0
    first, second = [(0.8 + 0) / 2, 2.1], [1.3]
    assert value() == pytest.approx((np.mean(first) + np.mean(second)) / 2)
    assert value(siblings=1) == pytest.approx((np.mean([0.8, 2.1]) + 1.3) / 2)
    worst = math.log((math.exp(0.4) + math.exp(2.1)) / 2)
    assert value(worst=1.0) == pytest.approx((worst + 1.3) / 2)
    logistic = prefix(log_p_NC, batch, ranks_D, Prefix(siblings=1)).item()
    assert logistic == pytest.approx(
        sum(math.log1p(math.exp(x)) * w for x, w in ((0.5, 1 / 4), (1.8, 1 / 4), (1, 1 / 2)))
    )


@given(lists=st.lists(LIST, min_size=1, max_size=3), term=TERM)
def test_it_equals_plain_loops_over_its_definition(lists, term):
    batch, ranks_D = pack(DOCIDS, lists)
    log_p_NC = random_log_p(batch)
    expected = loops(DOCIDS, lists, batch, log_p_NC, term)
    assert prefix(log_p_NC, batch, ranks_D, term).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_it_is_the_same_under_every_normaliser(family):
    lists = [[(0, 1.0), (1, 2.0), (5, INF), (9, 2.0)], [(7, 1.0)]]
    values = []
    for normaliser in ("vocabulary", "docid_tokens", "children"):
        batch, ranks_D = pack(DOCIDS, lists, normaliser)
        with torch.no_grad():
            log_p_NC = packed.log_probabilities(families.model(family), batch)
        values.append(prefix(log_p_NC, batch, ranks_D.float(), Prefix(worst=1.0, siblings=3)).item())
    assert values[0] > 0.1
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)


@given(order=st.permutations(range(4)), term=TERM)
def test_the_order_of_the_documents_changes_nothing(order, term):
    rows = [(0, 1.0), (1, 2.0), (5, INF), (9, 2.0)]
    found = []
    for each in (rows, [rows[place] for place in order]):
        batch, ranks_D = pack(DOCIDS, [each])
        found.append(prefix(random_log_p(batch), batch, ranks_D, term).item())
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("worst", [0.0, 2.0])
def test_a_catalogue_without_branches_has_no_competitors(worst):
    batch, ranks_D = pack([[3, 4, 2]], [[(0, 1.0)]])
    log_p_NC = random_log_p(batch).requires_grad_()
    value = prefix(log_p_NC, batch, ranks_D, Prefix(worst=worst))
    value.backward()
    assert value.item() == 0
    assert (log_p_NC.grad == 0).all()


def test_worst_goes_from_the_mean_to_the_largest():
    batch, ranks_D = pack(DOCIDS, [[(0, 1.0)]])
    log_p_NC = random_log_p(batch)
    values = [prefix(log_p_NC, batch, ranks_D, Prefix(worst=worst)).item() for worst in (0.0, 1e-6, 1.0, 1e3)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values == sorted(values)
    by_node = []
    for t in range(len(DOCIDS[0])):
        children = {ids[t] for ids in DOCIDS if ids[:t] == DOCIDS[0][:t]} - {DOCIDS[0][t]}
        log_p = log_p_NC[batch["edge_head"][batch["path"][0, t]]]
        others = log_p[sorted(children)].sort(descending=True).values[:8]
        if len(children):
            by_node.append((1 + (others - log_p[DOCIDS[0][t]]).exp()).log().mean().item())
    assert values[0] == pytest.approx(np.mean(by_node))
    assert values[3] == pytest.approx(max(by_node), rel=5e-3)


@pytest.mark.parametrize("pairs", ["logistic", "hinge"])
@pytest.mark.parametrize("worst", [0.0, 2.0])
def test_gradients_are_right(pairs, worst):
    batch, ranks_D = pack(DOCIDS, [[(0, 1.0), (1, 2.0), (5, INF)], [(7, 1.0), (3, 1.0)]])
    term = Prefix(pairs=pairs, worst=worst, siblings=2)
    log_p_NC = random_log_p(batch, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda log_p: prefix(log_p, batch, ranks_D, term), log_p_NC)


@pytest.mark.parametrize("worst", [0.0, 2.0])
def test_values_and_gradients_are_finite_for_equal_and_very_low_log_probabilities(worst):
    batch, ranks_D = pack(DOCIDS, [[(0, 1.0), (1, 1.0), (5, INF)]])
    for filler in (-2.0, -1e4):
        log_p_NC = torch.full((len(batch["head"]), 12), filler)
        log_p_NC[:, 5] = -0.1
        log_p_NC.requires_grad_()
        value = prefix(log_p_NC, batch, ranks_D.float(), Prefix(worst=worst))
        value.backward()
        assert value.isfinite()
        assert log_p_NC.grad.isfinite().all()
