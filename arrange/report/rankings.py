"""Rankings to look at: excerpts as HTML, each document with its label as a colour and as a letter or number."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
from markupsafe import Markup

from arrange.report.page import TEMPLATES

TRUE_LENGTH = 10  # documents that are shown of a true list
SHADES = 6  # colours for the places of a true list, the last one for all that follow


class Label(NamedTuple):
    """What a document is to its query: `kind` has a colour in style.css, `sign` and `name` say it without colours."""

    kind: str
    sign: str
    name: str


UNJUDGED = Label("unjudged", "·", "without a judgement")
NEGATIVE = Label("negative", "x", "judged, but none of the query's documents")


def render(excerpts: pl.DataFrame, scores: Mapping[str, str], tiers: Mapping[int, str]) -> Markup:
    """The true lists of the excerpts and beside them those of some systems, as HTML for `page.render`.

    `excerpts` is a table of `arrange.evaluation.excerpts`; `scores` has the systems to be shown, and what each one's
    score is ("log-probability"). `tiers` has the labels by their gains: {100: "exact", 0: "irrelevant"}; where it is empty,
    a document's label is its place in the true list.
    """
    queries = [
        {
            "text": part["query"][0],
            "true": _rows(part.filter(pl.col("system").is_null()).head(TRUE_LENGTH), tiers),
            "more": max(part["system"].null_count() - TRUE_LENGTH, 0),
            "lists": [(name, _rows(part.filter(pl.col("system") == name), tiers)) for name in scores],
        }
        for part in excerpts.partition_by("query_id", maintain_order=True)
    ]
    template = TEMPLATES.get_template("rankings.html")
    return Markup(template.render(queries=queries, scores=scores, legend=legend(tiers)))


def label(rank: int | None, gain: int | None, tiers: Mapping[int, str]) -> Label:
    """The label of a document with this rank and gain in the qrels; both are None where it has no judgement.

    >>> label(2, 10, {100: "exact", 10: "substitute"})
    Label(kind='tier2', sign='S', name='substitute')
    >>> label(2, 500_000, {}).name
    'place 2 in the true list'
    """
    if gain is None:
        return UNJUDGED
    if gain in tiers:
        place = sorted(tiers, reverse=True).index(gain) + 1
        initials = "".join(name[0] for name in tiers[gain].split(" or ")).upper()
        return Label(f"tier{place}", initials, tiers[gain])
    if rank is None:
        return NEGATIVE
    return Label(f"rank{min(rank, SHADES)}", str(rank), f"place {rank} in the true list")


def legend(tiers: Mapping[int, str]) -> list[tuple[list[Label], str]]:
    """What the labels mean: labels, and the words for them."""
    if tiers:
        known = [label(1, gain, tiers) for gain in sorted(tiers, reverse=True)]
        return [([one], one.name) for one in (*known, UNJUDGED)]
    places = [label(rank, rank, {}) for rank in range(1, SHADES)]
    last = Label(f"rank{SHADES}", f"{SHADES}+", f"place {SHADES} or later in the true list")
    return [([*places, last], "place in the true list"), *(([one], one.name) for one in (NEGATIVE, UNJUDGED))]


def _rows(documents: pl.DataFrame, tiers: Mapping[int, str]) -> list[dict[str, object]]:
    return [row | {"label": label(row["rank"], row["gain"], tiers)} for row in documents.rows(named=True)]
