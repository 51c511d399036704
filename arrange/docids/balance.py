"""Balanced assignment: every code gets as many documents as any other, or one more, at the least sum of costs.

D documents, K codes. scipy.optimize is imported where it is used: it takes a part of a second.
"""

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.floating]
SWEEPS = 4


def assign(costs_DK: Costs) -> NDArray[np.int64]:
    """The code of each document: each code has D // K documents or one more, and no such assignment costs less.

    >>> assign(np.array([[0, 5], [0, 1], [0, 2]])).tolist()
    [0, 1, 0]
    """
    from scipy.optimize import linear_sum_assignment

    documents, codes = costs_DK.shape
    least, larger = divmod(documents, codes)
    places_DS = np.repeat(costs_DK, least, axis=1)
    if larger:  # a last place for each code; what no document may take there is filled by rows without cost
        fillers = np.zeros((codes - larger, codes))
        nowhere = np.full((codes - larger, codes * least), np.inf)
        places_DS = np.block([[places_DS, costs_DK], [nowhere, fillers]])
    place_D = linear_sum_assignment(places_DS)[1][:documents]
    last_D = place_D - codes * least
    return np.where(last_D >= 0, last_D, place_D // max(least, 1))


def prices(costs_DK: Costs, code_D: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each code must cost so that every document's cheapest code is the one it was assigned, but for ties.

    These are dual values of the assignment: a code that too many documents are near to has a high price. Later
    documents that pay the prices are spread as those of the assignment were. The lowest price is 0.

    >>> prices(np.array([[0, 5], [0, 1], [0, 3]]), np.array([0, 1, 0])).tolist()
    [2.0, 0.0]
    """
    codes = costs_DK.shape[1]
    detour_KK = np.full((codes, codes), np.inf)  # the least that it costs to move one document from a code to another
    np.minimum.at(detour_KK, code_D, costs_DK - np.take_along_axis(costs_DK, code_D[:, None], axis=1))
    np.fill_diagonal(detour_KK, np.inf)
    price_K = np.zeros(codes)
    for _ in range(codes):  # Bellman and Ford: the least prices at which no document would move
        price_K = np.maximum(price_K, (price_K[:, None] - detour_KK).max(axis=0))
    for code in [*range(codes)] * SWEEPS:  # then to the middle of what each may be, so that they hold with a margin
        least, most = (price_K - detour_KK[:, code]).max(), (price_K + detour_KK[code]).min()
        if np.isfinite(least) and np.isfinite(most):
            price_K[code] = (least + most) / 2
    return price_K - price_K.min()
