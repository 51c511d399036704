"""Splits by hash: the split of a key depends on that key alone."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import chain

import polars as pl

from arrange.errors import UserError


def assign(keys: pl.Series, validation: float, test: float) -> pl.Series:
    """The split of every key: "test", "validation" or "train".

    The first 53 bits of the key's SHA-256 (UTF-8), read as a fraction u in [0, 1): u < test is test,
    u < test + validation is validation, the rest is train. So a key keeps its split when others are added or
    removed, on every machine and with every version. `validation` and `test` are expected shares of the
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


def assign_fold(keys: pl.Series, folds: int, fold: int, validation: float) -> pl.Series:
    """The split of every key in one fold of a cross-validation: each key is "test" in one of the folds, 1 to `folds`.

    Of the other keys a share `validation` is so in every fold in which it isn't tested, by another hash.

    >>> splits = [assign_fold(pl.Series(["a", "b"]), 3, fold, 0.1).to_list() for fold in (1, 2, 3)]
    >>> [[split[key] for split in splits].count("test") for key in (0, 1)]
    [1, 1]
    """
    part = pl.Series([int(_fraction(key) * folds) + 1 for key in keys], dtype=pl.Int64)
    rest = assign(pl.Series([f"{key} validation" for key in keys], dtype=pl.String), validation, test=0)
    return pl.select(pl.when(part == fold).then(pl.lit("test")).otherwise(rest)).to_series().rename("split")


def subtrees(above: Mapping[str, Collection[str]], limit: int) -> dict[str, str]:
    """For every node of a hierarchy the top of the largest subtree of at most `limit` nodes that holds it.

    `above` maps a node to all its ancestors. A node with more than `limit` nodes at and below it is its own top. Of two
    subtrees of one size the one whose top has the smaller id is taken. As keys of `assign` the tops keep a subtree in
    one split; nodes above the small subtrees are assigned one by one, so every split has some.

    >>> subtrees({"root": [], "a": ["root"], "b": ["root", "a"], "c": ["root"]}, limit=2)
    {'root': 'root', 'a': 'a', 'b': 'a', 'c': 'c'}
    """
    size = Counter(chain(above, chain.from_iterable(above.values())))
    small = ((node, [top for top in (node, *ancestors) if size[top] <= limit]) for node, ancestors in above.items())
    return {node: min(tops, key=lambda top: (-size[top], top), default=node) for node, tops in small}


def connected(groups: Iterable[Collection[str]]) -> dict[str, str]:
    """For every id of the groups one id that stands for its connected component: groups that share an id are connected.

    It is the id that is in the most groups of its component, and of several the smallest. As keys of `assign` these ids
    keep a whole component in one split. An id whose groups have no other id stands for itself.

    >>> connected([["a", "b"], ["b", "c"], ["d"]])
    {'a': 'b', 'b': 'b', 'c': 'b', 'd': 'd'}
    """
    count: Counter[str] = Counter()
    parent: dict[str, str] = {}  # a forest: each tree is a component
    for group in groups:
        ids = set(group)
        count.update(ids)
        roots = {_root(parent, id_) for id_ in ids}
        if roots:
            parent.update(dict.fromkeys(roots, min(roots)))
    members: dict[str, list[str]] = {}
    for id_ in sorted(count):
        members.setdefault(_root(parent, id_), []).append(id_)
    key = {root: min(ids, key=lambda id_: (-count[id_], id_)) for root, ids in members.items()}
    return {id_: key[_root(parent, id_)] for id_ in sorted(count)}


def _root(parent: dict[str, str], id_: str) -> str:
    """The root of the tree of `id_`. Nodes on the way are hung closer to it."""
    while parent.setdefault(id_, id_) != id_:
        parent[id_] = parent[parent[id_]]
        id_ = parent[id_]
    return id_


def _fraction(key: str) -> float:
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 11) / 2**53
