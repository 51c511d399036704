"""An autoencoder whose middle is residually quantised: codebooks that are learnt together with what they quantise.

The docIDs of TIGER (Rajput et al. 2023, arXiv 2305.05065): an encoder, residual codebooks, a decoder. Codebooks begin
with the k-means of what the encoder gives (`arrange.docids.rq`). The decoder's gradient passes the codebooks straight
through; each entry is drawn to the residuals that chose it, and these, by `COMMITMENT`, to the entry. A code that no
document chose for a while gets a document's residual as its entry.
D documents, L levels, K codes, E numbers of a vector, H of the hidden layers, Z of the middle. torch, slow to import,
is imported where the training needs it; encoding needs none.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.docids import rq
from arrange.models.vectors import Floats

if TYPE_CHECKING:
    from torch import Tensor, nn

HIDDEN, MIDDLE = 128, 32
COMMITMENT = 0.25  # TIGER's
RATE = 1e-3
BATCH = 256  # documents of a step
RESTART = 50  # steps after which codes that nobody chose begin anew; not in the last quarter, so that entries settle
FIRST = 10_000  # documents that the codebooks begin with

Arrays = dict[str, NDArray]


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(vectors_DE: Floats, levels: int, codebook: int, steps: int, seed: int) -> Arrays:
    """The encoder, the codebooks, and the error of each level, as `rq.errors`, in the vectors' space.

    first_HE, first_H, second_ZH, second_Z: the encoder. codebooks_LKZ: K is `codebook`, or D where that is less.
    Same vectors and seed: same numbers, whatever the number of threads.
    """
    import torch

    from arrange.models.determinism import deterministic

    with deterministic(threads=1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _trained(torch.from_numpy(vectors_DE), levels, codebook, steps, seed)


@threadpool_limits.wrap(limits=1)
def encode(arrays: Arrays, vectors_DE: Floats) -> NDArray[np.int64]:
    """The code of each level, D x L."""
    hidden_DH = np.maximum(vectors_DE @ arrays["first_HE"].T + arrays["first_H"], 0)
    return rq.encode(arrays["codebooks_LKZ"], hidden_DH @ arrays["second_ZH"].T + arrays["second_Z"])


def _trained(vectors_DE: "Tensor", levels: int, codebook: int, steps: int, seed: int) -> Arrays:
    import torch
    from torch import nn

    width = vectors_DE.shape[1]
    encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, MIDDLE))
    decoder = nn.Sequential(nn.Linear(MIDDLE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width))
    with torch.no_grad():
        middle_DZ = encoder(vectors_DE[torch.randperm(len(vectors_DE))[:FIRST]]).numpy()
    codebooks_LKZ = nn.Parameter(torch.from_numpy(rq.fit(middle_DZ, levels, min(codebook, len(vectors_DE)), seed)))
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), codebooks_LKZ], lr=RATE)
    chosen_LK = torch.zeros(codebooks_LKZ.shape[:2], dtype=torch.int64)
    for step in range(steps):
        batch_BE = vectors_DE[torch.randperm(len(vectors_DE))[:BATCH]]
        loss, codes_BL, residuals_LBZ = _loss(batch_BE, encoder, decoder, codebooks_LKZ)
        adam.zero_grad()
        loss.backward()
        adam.step()
        for level in range(levels):
            chosen_LK[level] += torch.bincount(codes_BL[:, level], minlength=chosen_LK.shape[1])
        if step % RESTART == RESTART - 1:
            if step < steps * 3 // 4:
                restart(codebooks_LKZ.data, chosen_LK, residuals_LBZ)
            chosen_LK.zero_()
    names = ("first_HE", "first_H", "second_ZH", "second_Z")
    arrays = {name: weight.detach().numpy() for name, weight in zip(names, encoder.parameters(), strict=True)}
    arrays["codebooks_LKZ"] = codebooks_LKZ.detach().numpy()
    return arrays | {"error_L": _errors(arrays, decoder, vectors_DE)}


def _loss(
    batch_BE: "Tensor", encoder: "nn.Module", decoder: "nn.Module", codebooks_LKZ: "Tensor"
) -> tuple["Tensor", "Tensor", "Tensor"]:
    """The loss of a batch, the codes, B x L, and the residuals that chose them, L x B x Z."""
    import torch

    middle_BZ = encoder(batch_BE)
    entries_LBZ, codes_BL, residuals_LBZ = quantise(middle_BZ, codebooks_LKZ)
    passed_BZ = middle_BZ + (entries_LBZ.sum(dim=0) - middle_BZ).detach()  # straight through
    loss = (batch_BE - decoder(passed_BZ)).square().sum(dim=1)
    to_residuals = (entries_LBZ - residuals_LBZ.detach()).square().sum(dim=(0, 2))
    to_entries = (entries_LBZ.detach() - residuals_LBZ).square().sum(dim=(0, 2))
    return torch.mean(loss + to_residuals + COMMITMENT * to_entries), codes_BL, residuals_LBZ.detach()


def quantise(middle_BZ: "Tensor", codebooks_LKZ: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """The chosen entries, L x B x Z, their codes, B x L, and the residuals that chose them, L x B x Z."""
    import torch

    entries, codes, residuals = [], [], [middle_BZ]
    for codebook_KZ in codebooks_LKZ:
        with torch.no_grad():
            distance_BK = codebook_KZ.square().sum(dim=1) - 2 * residuals[-1] @ codebook_KZ.T  # less what B alone adds
            codes.append(distance_BK.argmin(dim=1))
        entries.append(codebook_KZ[codes[-1]])
        residuals.append(residuals[-1] - entries[-1].detach())
    return torch.stack(entries), torch.stack(codes, dim=1), torch.stack(residuals[:-1])


def restart(codebooks_LKZ: "Tensor", chosen_LK: "Tensor", residuals_LBZ: "Tensor") -> None:
    """Give every entry that was not chosen a residual of its level, drawn from the batch; changes `codebooks_LKZ`."""
    import torch

    for codebook_KZ, chosen_K, residual_BZ in zip(codebooks_LKZ, chosen_LK, residuals_LBZ, strict=True):
        dead = (chosen_K == 0).nonzero().flatten()
        drawn = torch.randint(len(residual_BZ), (len(dead),))
        codebook_KZ[dead] = residual_BZ[drawn]


def _errors(arrays: Arrays, decoder: "nn.Module", vectors_DE: "Tensor") -> NDArray[np.float64]:
    """The share of the vectors' squared lengths that decoding the entries of the levels so far leaves over."""
    import torch

    codes_DL, left, whole = encode(arrays, vectors_DE.numpy()), [], float(vectors_DE.double().square().sum())
    sum_DZ = np.zeros((len(vectors_DE), MIDDLE), np.float32)
    for level, codebook_KZ in enumerate(arrays["codebooks_LKZ"]):
        sum_DZ += codebook_KZ[codes_DL[:, level]]
        with torch.no_grad():
            left.append(float((vectors_DE - decoder(torch.from_numpy(sum_DZ))).double().square().sum()))
    return np.array(left) / max(whole, np.finfo(np.float32).tiny)
