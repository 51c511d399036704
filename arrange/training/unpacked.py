"""The unpacked pass: every docID in a sequence of its own behind the prompt. The packed pass must equal it.

It is slow and written from the definitions alone: it shares no code with `arrange.training.packing`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.training.losses import Weights

DocIDs = Sequence[Sequence[int]]


def targets(docids: DocIDs, weights: Weights, prefix: Sequence[int]) -> dict[int, float]:
    """y(prefix), the target: token -> weight, by the documents below the prefix (arXiv 2601.05588, section 4)."""
    below = [(ids, log) for ids, log in zip(docids, weights.target_D, strict=True) if begins(ids, prefix)]
    best = max(log for _, log in below)
    mass: dict[int, float] = {}
    for ids, log in below:
        token = ids[len(prefix)]
        mass[token] = mass.get(token, 0.0) + float(torch.exp(torch.tensor(log - best, dtype=torch.float64)))
    total = sum(mass.values())
    return {token: value / total for token, value in mass.items()}


def begins(ids: Sequence[int], prefix: Sequence[int]) -> bool:
    """Whether a docID is longer than `prefix` and begins with it."""
    return len(ids) > len(prefix) and list(ids[: len(prefix)]) == list(prefix)


def token_logits(model: PreTrainedModel, prompt: Sequence[int], docids: DocIDs) -> list[Tensor]:
    """For each docID the logits that predict its tokens, T_d x V, from a forward pass of its own."""
    rows = []
    for ids in docids:
        tokens = torch.tensor([[*prompt, *ids]], device=model.device)
        rows.append(model(input_ids=tokens).logits[0, len(prompt) - 1 : -1])
    return rows


def document_log_probabilities(model: PreTrainedModel, prompt: Sequence[int], docids: DocIDs) -> Tensor:
    """log P(docID | prompt) of each docID, shape D."""
    scores = []
    for ids, logits_TV in zip(docids, token_logits(model, prompt, docids), strict=True):
        chosen_T = torch.tensor(list(ids), device=logits_TV.device)
        scores.append(logits_TV.log_softmax(-1).gather(1, chosen_T[:, None]).sum())
    return torch.stack(scores)


def loss(
    model: PreTrainedModel,
    prompt: Sequence[int],
    docids: DocIDs,
    weights: Weights,
    normalised: bool = True,
    legal: Callable[[Sequence[int]], Sequence[int]] | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """sum_d lambda_d * sum_t CE(y(d, t), p(. | prompt, d[<t])) of one query, gamma = 1; over sum_d lambda_d.

    legal: the tokens over which p is normalised after a prefix of a docID; None for the whole vocabulary. temperature:
    what logits are divided by.
    """
    lambda_D = [float(torch.exp(torch.tensor(log, dtype=torch.float64))) for log in weights.node_D]
    total = torch.zeros((), device=model.device)
    for ids, weight, logits_TV in zip(docids, lambda_D, token_logits(model, prompt, docids), strict=True):
        if weight == 0:
            continue
        for depth, logits_V in enumerate(logits_TV / temperature):
            among_V = logits_V if legal is None else logits_V[list(legal(ids[:depth]))]
            for token, mass in targets(docids, weights, ids[:depth]).items():
                total = total - weight * mass * (logits_V[token] - among_V.logsumexp(-1))
    return total / sum(lambda_D) if normalised else total
