"""The objective: every loss and term has the same gradient however its batch is split, and costs what it needs."""

from dataclasses import fields, replace
from functools import cache

import families
import numpy as np
import pytest
import torch

from arrange.docids import trie
from arrange.docids.tokens import Prompt
from arrange.training import examples, losses, packing
from arrange.training.losses import Prefix, Terms
from arrange.training.objective import objective, packing_for

RNG = np.random.default_rng(4)
DOCIDS = [[*ids, 2] for ids in sorted({tuple(RNG.integers(3, 9, RNG.integers(1, 5)).tolist()) for _ in range(40)})]
RANKS = [[1, 2, 3], [1], [1, 1], [1, None], [1, 2, 2, None, None], [1, 1, 2], [1], [1, 2, 3, 4, 5, 6]]
LISTS = examples.Examples(
    prompts=[Prompt(RNG.integers(9, 60, length).tolist(), [9]) for length in RNG.integers(1, 8, len(RANKS))],
    lists=[(RNG.choice(len(DOCIDS), len(r), replace=False), np.array(r, dtype=float)) for r in RANKS],
    docids=packing.docid_tokens(DOCIDS),
    pad_token_id=0,
    trie=trie.build(DOCIDS),
)
RULES = [
    losses.Ntp(),
    losses.Item(alpha=1.0),
    losses.Item(alpha=1.0, normalised=False),
    losses.Stepwise(),
    losses.Token(beta=1.0),
    losses.Combined(alpha=0.0, beta=1.0, gamma=0.5),
    losses.Geometric(rho=0.7),
]
PARAMETERS = {"margin", "temperature"}
TERMS = [Terms(**{field.name: 1.0}) for field in fields(Terms) if field.name not in {*PARAMETERS, "prefix"}]
TERMS += [Terms(prefix=Prefix(weight=1.0, pairs=pairs, worst=1.0)) for pairs in ("logistic", "hinge")]
LOSSES = [*RULES, *(losses.Ntp(terms=terms) for terms in TERMS)]


def short(loss):
    default = losses.Ntp()
    changed = [
        f"{f.name}={getattr(loss.terms, f.name)}"
        for f in fields(Terms)
        if getattr(loss.terms, f.name) != getattr(default.terms, f.name)
    ]
    return f"{loss.rule}-{loss.normalised}-{','.join(changed)}"


@cache
def gradient(loss, queries, normaliser="vocabulary"):
    model = families.model("llama", torch.float64)
    batch = packing_for(loss, LISTS, normaliser)([(query, query) for query in queries])
    value = objective(model, batch, loss)
    value.backward()
    return value.item(), torch.cat([weight.grad.flatten() for weight in model.parameters()])


def test_every_rule_is_tested():
    assert {type(loss) for loss in RULES} == set(losses.Loss.__args__)


@pytest.mark.parametrize("loss", LOSSES, ids=short)
def test_a_batch_of_8_has_the_mean_gradient_of_two_of_4(loss):
    """Some queries have no pair, and they are spread unevenly: the mean over those that have one would differ."""
    (whole, ours), *pieces = (gradient(loss, queries) for queries in (range(8), range(4), range(4, 8)))
    assert whole == pytest.approx(np.mean([value for value, _ in pieces]), rel=1e-6)
    theirs = torch.stack([piece for _, piece in pieces]).mean(0)
    assert (ours - theirs).norm() < 1e-6 * theirs.norm()


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: short(losses.Ntp(terms=terms)))
def test_every_term_changes_the_loss_and_adds_to_it(terms):
    alone, _ = gradient(losses.Ntp(), range(8))
    once, _ = gradient(losses.Ntp(terms=terms), range(8))
    assert once > alone + 1e-3


@pytest.mark.parametrize("normaliser", ["docid_tokens", "children"])
def test_terms_add_up_under_every_normaliser(normaliser):
    """All at once, each with a weight of its own, and the cross-entropy."""
    alone, _ = gradient(losses.Ntp(), range(8), normaliser)
    weights = np.linspace(0.5, 2, len(TERMS) - 1)
    total, names = alone, [field.name for field in fields(Terms) if field.name not in PARAMETERS]
    given = {}
    for name, weight in zip(names, weights, strict=True):
        one = Prefix(weight=1.0) if name == "prefix" else 1.0
        total += weight * (gradient(losses.Ntp(terms=Terms(**{name: one})), range(8), normaliser)[0] - alone)
        given[name] = replace(one, weight=float(weight)) if name == "prefix" else float(weight)
    assert gradient(losses.Ntp(terms=Terms(**given)), range(8), normaliser)[0] == pytest.approx(total, rel=1e-5)


def test_a_loss_packs_what_its_terms_need_and_no_more():
    items = [(query, query) for query in range(8)]

    def packed(**terms):
        return packing_for(losses.Ntp(terms=Terms(**terms)), LISTS, "vocabulary")(items)

    bare, of_documents, of_prefixes = packed(), packed(list_mle=1.0), packed(prefix=Prefix(weight=1.0))
    assert "path" not in bare
    assert "child_head" not in bare.keys() | of_documents.keys()
    negatives = sum(rank is None for ranks in RANKS for rank in ranks)
    assert len(of_documents["path"]) == len(of_prefixes["path"]) + negatives
    assert of_prefixes["input_ids"].shape[1] <= of_documents["input_ids"].shape[1]
    assert len(bare["head"]) < len(of_prefixes["head"]) < len(of_documents["head"])
