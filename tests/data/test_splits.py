import hashlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.data.splits import assign, connected, subtrees
from arrange.errors import UserError

KEYS = pl.Series([f"synset_{i}.n.01" for i in range(20_000)])


def test_splits_are_what_the_documentation_says() -> None:
    """An independent reading of the first hexadecimal digits: 53 bits are 13 digits and a bit."""
    fractions = [int(hashlib.sha256(key.encode()).hexdigest()[:14], 16) // 8 / 2**53 for key in KEYS]
    expected = ["test" if u < 0.1 else "validation" if u < 0.15 else "train" for u in fractions]
    assert assign(KEYS, validation=0.05, test=0.1).to_list() == expected


def test_splits_of_known_keys_never_change() -> None:
    keys = pl.Series(["dog.n.01", "cat.n.01", "entity.n.01", "Zürich", ""])
    # `printf %s KEY | sha256sum` begins 61, 77, d8, 42, e3: u is 0.38, 0.46, 0.84, 0.26, 0.89
    golden = ["validation", "validation", "train", "test", "train"]
    assert assign(keys, validation=0.3, test=0.3).to_list() == golden


def test_shares_are_met() -> None:
    counts = dict(assign(KEYS, validation=0.05, test=0.1).value_counts().rows())
    assert abs(counts["test"] - 2000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert abs(counts["validation"] - 1000) < 5 * (20_000 * 0.05 * 0.95) ** 0.5


@given(st.lists(st.text(max_size=8), max_size=30), st.lists(st.text(max_size=8), max_size=30))
def test_a_key_stays_where_it_is_when_others_come_or_go(keys: list[str], others: list[str]) -> None:
    alone = assign(pl.Series(keys, dtype=pl.String), 0.2, 0.3)
    together = assign(pl.Series(others + keys, dtype=pl.String), 0.2, 0.3)
    assert together[len(others) :].to_list() == alone.to_list()


def test_a_larger_test_share_only_adds_to_the_test_split() -> None:
    small, large = (assign(KEYS, validation=0.0, test=share) == "test" for share in (0.1, 0.2))
    assert small.sum() > 0
    assert (small & ~large).sum() == 0


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(validation: float, test: float) -> None:
    with pytest.raises(UserError, match="the shares are"):
        assign(KEYS, validation, test)


@st.composite
def hierarchies(draw):
    """Nodes 0..n-1 with parents among the smaller ones, as ids and all their ancestors."""
    above = {}
    for node in range(draw(st.integers(1, 12))):
        parents = draw(st.sets(st.integers(0, node - 1), max_size=2)) if node else set()
        above[f"n{node:02}"] = {f"n{p:02}" for p in parents}.union(*(above[f"n{p:02}"] for p in parents))
    return above


@given(hierarchies(), st.integers(0, 8))
def test_subtrees_are_the_largest_within_the_limit(above, limit) -> None:
    below = {top: {node for node in above if node == top or top in above[node]} for top in above}
    for node, top in subtrees(above, limit).items():
        possible = [other for other in above if node in below[other] and len(below[other]) <= limit]
        largest = max((len(below[other]) for other in possible), default=0)
        assert top == min((other for other in possible if len(below[other]) == largest), default=node)


@given(st.lists(st.sets(st.sampled_from("abcdefghij"), max_size=3), max_size=12))
def test_connected_ids_stand_for_their_component(groups: list[set[str]]) -> None:
    """Oracle: merge sets until none of them meet."""
    components: list[set[str]] = []
    for group in filter(None, groups):
        meeting = [component for component in components if component & group]
        components = [component for component in components if not component & group] + [group.union(*meeting)]
    found = connected(groups)
    assert set(found) == set().union(*components)
    for component in components:
        count = {id_: sum(id_ in group for group in groups) for id_ in component}
        most = min(id_ for id_ in component if count[id_] == max(count.values()))
        assert {found[id_] for id_ in component} == {most}
