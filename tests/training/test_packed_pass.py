"""The packed pass against the unpacked one, which is written from the definitions alone."""

import families
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPTNeoConfig, LlamaConfig, LlamaForCausalLM

from arrange.docids import trie
from arrange.errors import UserError
from arrange.models import attention, ranker
from arrange.training import columns, losses, packing, unpacked
from arrange.training import packed_pass as packed
from arrange.training.objective import objective

RNG = np.random.default_rng(0)
DOCIDS = [[*ids, 2] for ids in sorted({tuple(RNG.integers(3, 9, RNG.integers(1, 6)).tolist()) for _ in range(40)})]
DOCIDS = [DOCIDS[row] for row in RNG.permutation(len(DOCIDS))]  # of different lengths, many beginning alike
DOCID_TOKENS = packing.docid_tokens(DOCIDS)
PROMPTS = [RNG.integers(9, families.VOCABULARY, length).tolist() for length in (7, 9, 4)]
LISTS = [RNG.choice(len(DOCIDS), count, replace=False) for count in (6, 1, 9)]
RANKS = [[1, 2, 2, 3, 4, None], [1], [1, 1, 2, 3, 4, 5, 6, 7, None]]
ITEM, COMBINED = losses.Item(alpha=1.0), losses.Combined(alpha=0.5, beta=2.0)
LOSSES = [
    losses.Ntp(),
    ITEM,
    losses.Stepwise(),
    losses.Token(beta=1.0),
    losses.Token(beta=np.inf),
    COMBINED,
    losses.Geometric(rho=0.7),
]


def weights_of(loss):
    return [loss.weights(ranks) for ranks in RANKS]


def pack(queries, weights, **options):
    """A batch of these queries, in this order."""
    rows = [LISTS[query] for query in queries]
    joined = losses.Weights(*(np.concatenate(logs) for logs in zip(*(weights[q] for q in queries), strict=True)))
    lists = packing.Lists(np.repeat(np.arange(len(rows)), [len(r) for r in rows]), np.concatenate(rows), joined)
    return packing.pack([PROMPTS[query] for query in queries], DOCID_TOKENS, lists, 0, **options)


def loss_of(model, batch):
    return packed.cross_entropy(packed.edge_log_probabilities(model, batch), batch)


def gradient(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def unpacked_loss(model, weights, normalised=True):
    parts = [
        unpacked.loss(model, prompt, [DOCIDS[row] for row in rows], weight, normalised)
        for prompt, rows, weight in zip(PROMPTS, LISTS, weights, strict=True)
    ]
    return sum(parts) / len(parts)


@pytest.mark.parametrize("family", families.CONFIGS)
@pytest.mark.parametrize("loss_of_lists", [ITEM, COMBINED], ids=repr)
def test_loss_and_gradient_equal_the_unpacked_pass_in_every_family(family, loss_of_lists):
    model, weights = families.model(family), weights_of(loss_of_lists)
    loss, expected = loss_of(model, pack([0, 1, 2], weights, whole=False)), unpacked_loss(model, weights)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    ours, theirs = gradient(model, loss), gradient(model, expected)
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def following(prefix):
    """The tokens that follow a prefix of docIDs in the catalogue."""
    return sorted({ids[len(prefix)] for ids in DOCIDS if unpacked.begins(ids, prefix)})


def any_docid_token(prefix):
    return sorted({token for ids in DOCIDS for token in ids})


@pytest.mark.parametrize(
    ("normaliser", "legal", "temperature"),
    [("docid_tokens", any_docid_token, 1.0), ("children", following, 1.0), ("children", following, 2.5)],
)
@pytest.mark.parametrize("family", families.CONFIGS)
def test_normalisers_equal_the_unpacked_pass_in_every_family(family, normaliser, legal, temperature, monkeypatch):
    model, weights = families.model(family), weights_of(COMBINED)
    monkeypatch.setattr(model.config, "children_temperature", temperature, raising=False)  # other tests share the model
    tokens = columns.legal_tokens(trie.build(DOCIDS), normaliser)
    loss = loss_of(model, pack([0, 1, 2], weights, whole=False, legal=tokens))
    lists = zip(PROMPTS, LISTS, weights, strict=True)
    how = {"legal": legal, "temperature": temperature}
    parts = [unpacked.loss(model, prompt, [DOCIDS[r] for r in rows], w, **how) for prompt, rows, w in lists]
    expected = sum(parts) / len(parts)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    ours, theirs = gradient(model, loss), gradient(model, expected)
    assert (ours - theirs).norm() < 1e-4 * theirs.norm()


@pytest.mark.parametrize("normaliser", ["vocabulary", "docid_tokens"])
def test_a_temperature_is_of_children_alone(normaliser, monkeypatch):
    model, weights = families.model("llama"), weights_of(ITEM)
    legal = columns.legal_tokens(trie.build(DOCIDS), normaliser)
    batch = pack([0, 1, 2], weights, legal=legal)
    cold = loss_of(model, batch).item()
    monkeypatch.setattr(model.config, "children_temperature", 4.0, raising=False)
    assert loss_of(model, batch).item() == cold


def test_only_the_columns_are_computed_that_can_be_chosen():
    model, catalogue, computed = families.model("gpt2"), trie.build(DOCIDS), []
    hook = model.lm_head.register_forward_hook(lambda *call: computed.append(call[-1].shape[1]))
    for normaliser in ("vocabulary", "docid_tokens", "children"):
        legal = columns.legal_tokens(catalogue, normaliser)
        packed.log_probabilities(model, pack([1], weights_of(losses.Ntp()), whole=False, legal=legal))
    hook.remove()
    (row,) = LISTS[1]
    follow = {token for depth in range(len(DOCIDS[row])) for token in following(DOCIDS[row][:depth])}
    assert computed == [families.VOCABULARY, len(any_docid_token([])), len(follow)]
    assert model(torch.tensor([PROMPTS[0]])).logits.shape == (1, len(PROMPTS[0]), families.VOCABULARY)


@pytest.mark.parametrize(("normaliser", "legal"), [("docid_tokens", any_docid_token), ("children", following)])
@pytest.mark.parametrize(
    ("tied", "targets", "new"), [(True, "all-linear", [3, 5, 7]), (False, ["lm_head"], []), (False, "all-linear", [3])]
)
@torch.no_grad()
def test_adapters_of_the_output_layer_count(normaliser, legal, tied, targets, new):
    """Of LoRA, and of new tokens, whose rows are trained."""
    base = LlamaForCausalLM(LlamaConfig(**families.SMALL, tie_word_embeddings=tied)).eval()
    model = ranker.with_lora(base, {"r": 4, "target_modules": targets}, 0, new).eval()
    for weight in model.parameters():
        if weight.requires_grad:
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    weights, tokens = weights_of(COMBINED), columns.legal_tokens(trie.build(DOCIDS), normaliser)
    batch = pack([0, 1, 2], weights, whole=False, legal=tokens)
    inner = ranker.without_adapters(model)
    loss = packed.cross_entropy(packed.edge_log_probabilities(model, batch, inner), batch)
    lists = zip(PROMPTS, LISTS, weights, strict=True)
    parts = [unpacked.loss(model, prompt, [DOCIDS[r] for r in rows], w, legal=legal) for prompt, rows, w in lists]
    assert loss.item() == pytest.approx((sum(parts) / len(parts)).item(), rel=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss_equals_the_unpacked_pass_in_float64(loss, normalised):
    model, weights = families.model("llama", torch.float64), weights_of(loss)
    batch = pack([0, 1, 2], weights, whole=False, normalised=normalised)
    logits = loss_of(model, batch).item()
    assert logits == pytest.approx(unpacked_loss(model, weights, normalised).item(), rel=3e-7)  # logits are float32


@pytest.mark.parametrize("family", families.CONFIGS)
def test_documents_have_the_log_probabilities_of_the_unpacked_pass(family):
    model = families.model(family)
    batch = pack([0, 1, 2], weights_of(losses.Ntp()))
    with torch.no_grad():
        found = packed.document_log_probabilities(packed.edge_log_probabilities(model, batch), batch)
        parts = [
            unpacked.document_log_probabilities(model, prompt, [DOCIDS[row] for row in rows])
            for prompt, rows in zip(PROMPTS, LISTS, strict=True)
        ]
    assert torch.allclose(found, torch.cat(parts), atol=1e-5)


SMALL = {"row": 3, "area": 300}  # rows of 3 nodes (behind a longer prompt more), and few rows in a pass


def with_terms(model, batch, loss):
    """The loss with its terms."""
    ranks = [np.array(each, np.float32) for each in ([1, 2, 2, 3, 4, np.nan], [1], [1, 1, 2, 3, 4, 5, 6, 7, np.nan])]
    return objective(model, batch | {"rank": torch.from_numpy(np.concatenate(ranks))}, loss)


TERMS = [
    losses.Item(alpha=1.0, terms=losses.Terms(plackett_luce=1.0)),
    losses.Item(alpha=1.0, terms=losses.Terms(hinge=1.0)),
    losses.Item(alpha=1.0, terms=losses.Terms(prefix=losses.Prefix(weight=1.0))),
    losses.Item(alpha=1.0, gamma=0.0),
]


@pytest.mark.parametrize("normaliser", ["vocabulary", "docid_tokens", "children"])
@pytest.mark.parametrize("loss", [*LOSSES, *TERMS], ids=repr)
def test_rows_and_passes_change_neither_loss_nor_gradient(loss, normaliser):
    model, weights = families.model("llama"), weights_of(loss)
    catalogue, siblings = trie.build(DOCIDS), bool(loss.terms.prefix.weight)
    options = {"gamma": loss.gamma, "whole": loss.compares_documents or siblings}
    options |= {"legal": columns.legal_tokens(catalogue, normaliser), "siblings": catalogue if siblings else None}
    whole, cut = pack([0, 1, 2], weights, **options), pack([0, 1, 2], weights, **options, **SMALL)
    assert (len(whole["pass"]), len(whole["input_ids"])) == (1, 3)
    assert len(cut["pass"]) > 2
    assert len(cut["input_ids"]) > 3
    expected, found = with_terms(model, whole, loss), with_terms(model, cut, loss)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    theirs, ours = gradient(model, expected), gradient(model, found)
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@pytest.mark.parametrize("family", families.CONFIGS)
def test_rows_and_passes_change_no_documents_log_probability(family):
    """Sliding windows and positions too."""
    model, weights = families.model(family), weights_of(losses.Ntp())
    found = []
    for sizes in ({}, SMALL):
        batch = pack([0, 1, 2], weights, **sizes)
        with torch.no_grad():
            found.append(packed.document_log_probabilities(packed.edge_log_probabilities(model, batch), batch))
    assert torch.allclose(*found, atol=1e-5)


def test_a_list_of_any_length_makes_rows_and_passes_of_bounded_size():
    """One query with 3,000 documents among 24: padded to one length their mask would have 24 x 9,000^2 numbers."""
    rng = np.random.default_rng(3)
    docids = packing.docid_tokens([[*ids, 2] for ids in sorted({*map(tuple, rng.integers(3, 99, (4000, 4)).tolist())})])
    counts = [3000, *[5] * 23]
    lists = packing.Lists(
        np.repeat(np.arange(24), counts), np.concatenate([rng.choice(3900, n, replace=False) for n in counts])
    )
    batch = packing.pack([[3] * 20] * 24, docids, lists, 0)
    rows_P, length_P, heads_P = batch["pass"].numpy().T
    assert (rows_P * length_P**2 <= packing.AREA).all()
    assert length_P.max() <= 20 + packing.ROW + 3
    nodes = packing.tries(docids, lists.query_D, lists.row_D)
    assert heads_P.sum() == len(batch["head"]) == nodes.inner_E.sum() + 24
    # the long list alone has several rows
    rows = -(-int(nodes.inner_E[nodes.query_E == 0].sum()) // packing.ROW)
    assert rows_P.sum() == len(batch["input_ids"]) == 23 + rows


def test_a_long_prompt_is_not_repeated_for_a_few_nodes():
    weights = weights_of(losses.Ntp())[0]
    lists = packing.Lists(np.zeros(6, np.int64), LISTS[0], weights)
    assert len(packing.pack([[9] * 40], DOCID_TOKENS, lists, 0, row=2)["input_ids"]) == 1
    assert len(packing.pack([[9] * 2], DOCID_TOKENS, lists, 0, row=2)["input_ids"]) > 1


def test_gradients_in_float32_agree_with_float64():
    weights = weights_of(losses.Combined(alpha=0.5, beta=1.0))
    single, double = families.model("llama"), families.model("llama").double()
    batch = pack([0, 1, 2], weights, whole=False)
    exact = gradient(double, loss_of(double, batch))
    assert (gradient(single, loss_of(single, batch)).double() - exact).norm() < 1e-5 * exact.norm()


def test_the_order_of_the_queries_and_the_padding_they_bring_change_nothing():
    model, weights = families.model("llama"), weights_of(ITEM)
    together = loss_of(model, pack([0, 1, 2], weights)).item()
    assert loss_of(model, pack([2, 0, 1], weights)).item() == pytest.approx(together, rel=1e-6)
    alone = [loss_of(model, pack([query], weights)).item() for query in range(3)]
    assert np.mean(alone) == pytest.approx(together, rel=1e-6)


def test_the_order_of_the_documents_changes_nothing():
    found = packing.tries(DOCID_TOKENS, np.zeros(6, np.int64), LISTS[0])
    order_D = np.array([3, 0, 5, 1, 4, 2])
    other = packing.tries(DOCID_TOKENS, np.zeros(6, np.int64), LISTS[0][order_D])
    for name in ("token_E", "parent_E", "end_E", "inner_E"):
        assert np.array_equal(getattr(found, name), getattr(other, name))
    assert np.array_equal(found.path_DT[order_D], other.path_DT)


def test_beta_infinity_is_one_hot_on_the_best_document_below_each_prefix():
    weights = losses.Combined(alpha=0.0, beta=np.inf).weights([4, 2, 3, 1, 5, 6])
    query_D = np.zeros(6, np.int64)
    found = packing.tries(DOCID_TOKENS, query_D, LISTS[0])
    target_E = packing.edge_weights(found, query_D, weights, gamma=0.0, normalised=True)
    ranks = dict(zip(LISTS[0].tolist(), [4, 2, 3, 1, 5, 6], strict=True))
    for place, row in enumerate(LISTS[0].tolist()):
        for depth, edge in enumerate(found.path_DT[place][: len(DOCIDS[row])]):
            below = [other for other in ranks if DOCIDS[other][:depth] == DOCIDS[row][:depth]]
            best = min(below, key=ranks.__getitem__)
            assert target_E[edge] == float(DOCIDS[best][depth] == DOCIDS[row][depth])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_item_is_the_weighted_sum_of_the_documents_log_probabilities(data):
    """sum_d w_d * -log P(d) = the sum over nodes: W(v) CE(y_v, p_v), whatever p is."""
    count = data.draw(st.integers(1, 9))
    rows_D = np.array(data.draw(st.permutations(range(len(DOCIDS)))))[:count]
    ranks = data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    alpha = data.draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    weights = losses.Item(alpha=alpha).weights(ranks)
    query_D = np.zeros(count, np.int64)
    found = packing.tries(DOCID_TOKENS, query_D, rows_D)
    log_p_E = np.random.default_rng(count).normal(size=len(found.token_E))
    weight_E = packing.edge_weights(found, query_D, weights, gamma=1.0, normalised=True)
    document_D = np.where(found.path_DT >= 0, log_p_E[found.path_DT], 0).sum(1)
    lambda_D = np.exp(weights.node_D)
    assert weight_E @ log_p_E == pytest.approx(lambda_D @ document_D / lambda_D.sum(), abs=1e-12)


def test_the_normalised_item_loss_is_mass_on_the_list_plus_listnet_within_it():
    """-log M + CE(w, P / M), M the summed probability of the list, w the normalised weights."""
    model, weights = families.model("llama"), weights_of(ITEM)
    batch = pack([0], weights)
    with torch.no_grad():
        log_p_E = packed.edge_log_probabilities(model, batch)
        log_p_D = packed.document_log_probabilities(log_p_E, batch).double()
    w_D = torch.from_numpy(np.exp(weights[0].node_D))
    w_D /= w_D.sum()
    log_m = log_p_D[:5].logsumexp(0)  # the sixth document is a judged negative
    expected = -log_m - (w_D[:5] * (log_p_D[:5] - log_m)).sum()
    assert packed.cross_entropy(log_p_E, batch).item() == pytest.approx(expected.item(), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(6)), loss=st.sampled_from(LOSSES))
def test_the_order_in_which_a_list_is_given_changes_no_weight(order, loss):
    """Ties included: documents 2 and 3 both have rank 2."""
    query_D, order_D = np.zeros(6, np.int64), np.array(order)
    ranks_D = np.array([1, 2, 2, 3, 4, np.nan])
    found = []
    for rows_D, ranks in ((LISTS[0], ranks_D), (LISTS[0][order_D], ranks_D[order_D])):
        trie = packing.tries(DOCID_TOKENS, query_D, rows_D)
        found.append(packing.edge_weights(trie, query_D, loss.weights(ranks), gamma=0.5, normalised=True))
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_gamma_is_an_exponent_of_the_node_weights():
    query_D = np.zeros(6, np.int64)
    found = packing.tries(DOCID_TOKENS, query_D, LISTS[0])
    weights = ITEM.weights([1, 2, 3, 4, 5, 6])
    whole, half, none = (packing.edge_weights(found, query_D, weights, gamma, True) for gamma in (1.0, 0.5, 0.0))
    assert half**2 == pytest.approx(whole * none)
    root_E = found.parent_E == -1
    assert whole[root_E].sum() == pytest.approx(1)
    inner = np.flatnonzero(found.inner_E)
    assert [none[found.parent_E == edge].sum() for edge in inner] == pytest.approx([1] * len(inner))


def test_output_is_computed_at_nodes_with_a_target_only():
    batch = pack([0, 1, 2], weights_of(losses.Ntp()), whole=False)
    best = [
        [row for row, rank in zip(rows, ranks, strict=True) if rank == 1]
        for rows, ranks in zip(LISTS, RANKS, strict=True)
    ]
    prefixes = {
        (query, tuple(DOCIDS[row][:t]))
        for query, rows in enumerate(best)
        for row in rows
        for t in range(len(DOCIDS[row]))
    }
    assert len(batch["head"]) == len(prefixes)


def test_a_document_that_stands_twice_in_a_list_is_one_leaf():
    found = packing.tries(DOCID_TOKENS, np.zeros(2, np.int64), np.array([3, 3]))
    assert len(found.token_E) == len(DOCIDS[3])
    assert np.array_equal(found.path_DT[0], found.path_DT[1])


def test_a_model_without_plain_attention_is_refused():
    config = families.CONFIGS["gemma2"].__class__(**families.SMALL)
    config._attn_implementation = "flash_attention_2"
    sees = torch.ones(1, 1, 1, dtype=torch.bool)
    with pytest.raises(UserError, match="takes no tree mask"):
        attention.tree_mask(config, sees, torch.zeros(1, 1), torch.zeros(1, 1), torch.float32)


def test_a_window_that_a_model_keeps_to_itself_is_refused():
    config = GPTNeoConfig(num_layers=2, attention_types=[[["global", "local"], 1]])
    sees = torch.ones(1, 1, 1, dtype=torch.bool)
    with pytest.raises(UserError, match="gpt_neo: local takes no tree mask"):
        attention.tree_mask(config, sees, torch.zeros(1, 1), torch.zeros(1, 1), torch.float32)


def test_a_compiled_model_gives_the_same_log_probabilities():
    """It has no truth value, which an `or` would ask for; each batch has other outputs and another width."""
    model, weights = families.model("llama"), weights_of(ITEM)
    compiled = torch.compile(model, backend="aot_eager")
    for queries in ([0, 1], [2], [1, 2, 0]):
        batch = pack(queries, weights, whole=False)
        with torch.no_grad():
            found = packed.edge_log_probabilities(compiled, batch, compiled)
            assert torch.allclose(found, packed.edge_log_probabilities(model, batch), atol=1e-5)
