"""The settings of augmented examples. Importable without torch: a flow checks settings without waiting for it."""

from dataclasses import dataclass

from arrange.bounds import Count, CountOr0, PositiveOr0, Seed


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Queries that a language model writes for a document.

    model: the folder of a base model. prompt: what it reads, with the document's text in the place of {document}.
    documents: the budget: so many documents get queries, those first that no training list has. count: queries of each.
    """

    model: str
    prompt: str
    documents: CountOr0
    count: Count
    tokens: Count
    temperature: PositiveOr0

    def __post_init__(self) -> None:
        if self.prompt.count("{document}") != 1:
            raise ValueError(f"prompt is {self.prompt!r}; it needs {{document}} once")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How many examples each document gets, of which kind. Counts of 0 leave a kind out.

    document: 1 for the document's text, cut behind `words`. titles: its first 3 to 6 words. spans: pieces of
    2 to 8 words. keywords: 2 to 4 of its words, drawn by TF-IDF, in a random order.
    generated: None for no queries by a language model.
    first: a text is kept if BM25 finds its document among so many for it; 0 keeps all. `document` is always kept.
    seen: what a document weighs that a training list has; others weigh 1.
    """

    seed: Seed
    words: Count
    document: CountOr0
    titles: CountOr0
    spans: CountOr0
    keywords: CountOr0
    generated: Generated | None
    first: CountOr0
    seen: PositiveOr0

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind that needs no model."""
        return {kind: getattr(self, kind) for kind in ("document", "titles", "spans", "keywords")}
