import re

import polars as pl
import pytest

from arrange.report.rankings import label, legend, render

ESCI = {100: "exact", 10: "substitute", 1: "complement", 0: "irrelevant"}
SCHEMA = {"system": pl.String, "query_id": pl.String, "query": pl.String, "place": pl.Int32, "document": pl.String}
SCHEMA |= {"score": pl.Float64, "rank": pl.Int32, "gain": pl.Int32}
EXCERPTS = [
    (None, "2", "a hat", 1, "straw hat", -1.0, 1, 100),
    (None, "2", "a hat", 2, "cap", -2.0, 2, 1),
    *((None, "1", "a shoe", place, f"shoe {place}", -1.0, 1, 100) for place in range(1, 13)),
    ("item", "2", "a hat", 1, "cap", -0.125, 2, 1),
    ("item", "2", "a hat", 2, "<script>", -12.0, None, None),
    ("item", "2", "a hat", 3, "x" * 150, -12.5, None, 0),
    ("bm25", "2", "a hat", 1, "straw hat", 3.25, 1, 100),
    ("item", "1", "a shoe", 1, "boot", -1.5, None, None),
]


def lists(page):
    """Query -> list's caption -> its rows: place, kind, sign, document, score."""
    row = r"<tr>(?:<td class=\"place\">(\d+)</td>)?<td><abbr class=\"label (\w+)\" title=\".*?\">(.*?)</abbr></td>"
    row += r"<td class=\"document .*?\">(.*?)</td>(?:<td class=\"score\">(.*?)</td>)?</tr>"
    return {
        query: {
            caption: re.findall(row, rows)
            for caption, rows in re.findall(r"<caption>(.*?)</caption>(.*?)</table>", of, re.DOTALL)
        }
        for query, of in re.findall(r"<summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    }


def test_the_lists_of_each_query_stand_beside_the_true_one():
    page = render(pl.DataFrame(EXCERPTS, SCHEMA, orient="row"), {"item": "log p", "bm25": "score"}, ESCI)
    found = lists(page)
    assert list(found) == ["a hat", "a shoe"]
    assert found["a hat"] == {
        "true list": [("", "tier1", "E", "straw hat", ""), ("", "tier3", "C", "cap", "")],
        "item": [
            ("1", "tier3", "C", "cap", "-0.12"),
            ("2", "unjudged", "·", "&lt;script&gt;", "-12.00"),
            ("3", "tier4", "I", "x" * 139 + "…", "-12.50"),
        ],
        "bm25": [("1", "tier1", "E", "straw hat", "3.25")],
    }
    assert len(found["a shoe"]["true list <small>and 2 more</small>"]) == 10
    assert found["a shoe"]["bm25"] == []
    assert page.count("no documents") == 1
    assert page.count('class="score">log p</th>') == 2
    assert "<script" not in page


@pytest.mark.parametrize(
    ("rank", "gain", "tiers", "kind", "sign"),
    [
        (2, 100, ESCI, "tier1", "E"),  # the gain decides: a query without E has S on rank 1
        (1, 10, ESCI, "tier2", "S"),
        (None, 0, ESCI, "tier4", "I"),
        (None, None, ESCI, "unjudged", "·"),
        (1, 1, {5: "exact", 1: "complement or irrelevant"}, "tier2", "CI"),
        (1, 10**6, {}, "rank1", "1"),
        (5, 2, {}, "rank5", "5"),
        (6, 2, {}, "rank6", "6"),
        (17, 1, {}, "rank6", "17"),
        (None, 0, {}, "negative", "x"),
        (None, None, {}, "unjudged", "·"),
        (3, 7, ESCI, "rank3", "3"),  # a gain that has no name
    ],
)
def test_a_label_says_tier_or_place_in_colour_and_in_letters(rank, gain, tiers, kind, sign):
    assert label(rank, gain, tiers)[:2] == (kind, sign)


def test_the_legend_has_every_kind_once():
    def entries(tiers):
        return [("".join(one.sign for one in labels), words) for labels, words in legend(tiers)]

    names = [("E", "exact"), ("S", "substitute"), ("C", "complement"), ("I", "irrelevant")]
    assert entries(ESCI) == [*names, ("·", "without a judgement")]
    assert entries({})[0] == ("123456+", "place in the true list")
    kinds = [one.kind for labels, _ in legend({}) for one in labels]
    assert kinds == [*(f"rank{place}" for place in range(1, 7)), "negative", "unjudged"]
