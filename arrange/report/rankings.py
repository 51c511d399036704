"""Rankings as HTML for people to look at: each document has its label as a colour and as a letter or number."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
from markupsafe import Markup

from arrange.report.page import TEMPLATES

TRUE_LENGTH = 10  # documents that are shown of a true list
SHADES = 6  # colours for the places of a true list, the last one for all that follow
TIERS = 4  # colours for labels, the best first, the last one for all that follow


class Label(NamedTuple):
    """How a document is judged for its query. `kind` has a colour in style.css; `sign` and `name` need no colour."""

    kind: str
    sign: str
    name: str


UNJUDGED = Label("unjudged", "·", "without a judgement")
NEGATIVE = Label("negative", "x", "judged, but none of the query's documents")


def render(excerpts: pl.DataFrame, scores: Mapping[str, str], labels: Mapping[int, str]) -> Markup:
    """The true lists of the excerpts and beside them the lists of some systems, as HTML for `page.render`.

    `excerpts` is a table of `arrange.evaluation.excerpts`. `scores` has the systems to show and what the score of each
    is ("log p"). `labels` are the data set's labels by gain, {100: "exact", 0: "irrelevant"}. Where there are none, a
    document's label is its place in the true list.
    """
    queries = [
        {
            "text": part["query"][0],
            "true": _rows(part.filter(pl.col("system").is_null()).head(TRUE_LENGTH), labels),
            "more": max(part["system"].null_count() - TRUE_LENGTH, 0),
            "lists": [(name, _rows(part.filter(pl.col("system") == name), labels)) for name in scores],
        }
        for part in excerpts.partition_by("query_id", maintain_order=True)
    ]
    template = TEMPLATES.get_template("rankings.html")
    return Markup(template.render(queries=queries, scores=scores, legend=legend(labels)))


def label(rank: int | None, gain: int | None, labels: Mapping[int, str]) -> Label:
    """The label of a document with this rank and gain in the qrels. Both are None where it has no judgement.

    >>> label(2, 10, {100: "exact", 10: "substitute"})
    Label(kind='tier2', sign='S', name='substitute')
    >>> label(2, 500_000, {}).name
    'place 2 in the true list'
    """
    if gain is None:
        return UNJUDGED
    if gain in labels:
        tier = min(sorted(labels, reverse=True).index(gain) + 1, TIERS)
        initials = "".join(name[:1] for name in labels[gain].split(" or ")).upper()
        return Label(f"tier{tier}", initials, labels[gain])
    if rank is None:
        return NEGATIVE
    return Label(f"rank{min(rank, SHADES)}", str(rank), f"place {rank} in the true list")


def legend(labels: Mapping[int, str]) -> list[tuple[list[Label], str]]:
    """Labels with the words for them."""
    if labels:
        graded = [label(1, gain, labels) for gain in sorted(labels, reverse=True)]
        return [([one], one.name) for one in (*graded, UNJUDGED)]
    places = [label(rank, rank, {}) for rank in range(1, SHADES)]
    last = Label(f"rank{SHADES}", f"{SHADES}+", f"place {SHADES} or later in the true list")
    return [([*places, last], "place in the true list"), *(([one], one.name) for one in (NEGATIVE, UNJUDGED))]


def _rows(documents: pl.DataFrame, labels: Mapping[int, str]) -> list[dict[str, object]]:
    return [row | {"label": label(row["rank"], row["gain"], labels)} for row in documents.rows(named=True)]
