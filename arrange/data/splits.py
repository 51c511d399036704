"""Splits by hash: what a key is assigned to depends on that key alone."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain

import polars as pl

from arrange.errors import UserError


def assign(keys: pl.Series, validation: float, test: float) -> pl.Series:
    """The split of every key: "test", "validation" or "train".

    The first 53 bits of the key's SHA-256 (UTF-8), read as a fraction u in [0, 1): u < test is test,
    u < test + validation is validation, the rest is train. So a key stays where it is when others come
    or go, on every machine and with every version. `validation` and `test` are expected shares of the
    distinct keys. Raises UserError unless both are at least 0 and their sum is below 1.

    >>> assign(pl.Series(["dog.n.01", "cat.n.01"]), validation=0.05, test=0.1).to_list()
    ['train', 'train']
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise UserError(
            f"the shares are validation {validation}, test {test}",
            "give shares of at least 0 that sum to less than 1",
        )
    fractions = pl.Series([_fraction(key) for key in keys], dtype=pl.Float64)
    return (
        pl.select(
            pl.when(fractions < test)
            .then(pl.lit("test"))
            .when(fractions < test + validation)
            .then(pl.lit("validation"))
            .otherwise(pl.lit("train"))
        )
        .to_series()
        .rename("split")
    )


def subtrees(above: Mapping[str, Collection[str]], limit: int) -> dict[str, str]:
    """For every node of a hierarchy the top of the largest subtree of at most `limit` nodes that holds it.

    `above` maps a node to all its ancestors. A node with more than `limit` nodes at and below it stands for
    itself; of two subtrees of one size the smaller id decides. As keys of `assign` they keep a subtree in
    one split, and what lies above the small subtrees is still in every split.

    >>> subtrees({"root": [], "a": ["root"], "b": ["root", "a"], "c": ["root"]}, limit=2)
    {'root': 'root', 'a': 'a', 'b': 'a', 'c': 'c'}
    """
    size = Counter(chain(above, chain.from_iterable(above.values())))
    small = ((node, [top for top in (node, *ancestors) if size[top] <= limit]) for node, ancestors in above.items())
    return {node: min(tops, key=lambda top: (-size[top], top), default=node) for node, tops in small}


def _fraction(key: str) -> float:
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 11) / 2**53
