"""The settings of a training and of its prompts; `arrange.training.losses` has those of the losses.

Importable without torch: a flow checks settings without waiting for it.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from arrange.bounds import Count, CountOr0, Positive, WholeShare
from arrange.data.augmented import Origin
from arrange.models.normaliser import Normaliser

Regime = Literal["corpus", "in_context"]
# Of the log-probabilities of a docID's tokens; or which of the two ranks a ranker's validation queries better.
Score = Literal["sum", "mean", "validation"]


NO_TEACHER = "settings/no_teacher.trec"  # a run without documents


@dataclass(frozen=True, kw_only=True)
class TeacherTable:
    """What losses with a teacher's term learn from: see `arrange.training.teachers`.

    table: a table of the pipeline, candidates/<entry>.parquet, or the whole path of a run file of the user's, over the
    training queries. depth: so many of each query's documents join its list.
    """

    table: str
    depth: CountOr0

    def __post_init__(self) -> None:
        of_pipeline = re.fullmatch(r"candidates/[\w-]+\.parquet", self.table)
        if self.table != NO_TEACHER and not of_pipeline and (not Path(self.table).is_absolute() or "\0" in self.table):
            what = f"table {self.table!r} is no table of the pipeline and no absolute path"
            raise ValueError(
                f"{what}; give candidates/<entry>.parquet, the path of your file, or {NO_TEACHER} for none"
            )


@dataclass(frozen=True, kw_only=True)
class Augmented:
    """Which augmented examples (section `augment`) a training has among its queries, in the regime `corpus`.

    origins: what made them. first, last: their share of the places of a batch at the first step and at the last; in
    between it changes by equal amounts.
    """

    origins: Annotated[tuple[Origin, ...], MinLen(1)]
    first: WholeShare
    last: WholeShare


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """How a ranker is trained.

    model: the folder of a base model, base_models/<entry>, or any folder that transformers' save_pretrained wrote.
    lora: options of `peft.LoraConfig`; None trains all weights.
    normaliser: the tokens among which the model learns to choose; see `arrange.models.normaliser`.
    temperature: what `children` divides the logits by, in training and in all that the ranker does later.
    teacher: the table that losses with a teacher's term learn from.
    threads: another number of threads rounds otherwise, so it gives other weights.
    validation_queries: so many validation queries are ranked at every evaluation.
    arguments: of `transformers.TrainingArguments`, without those that `arrange.training.arguments` refuses; max_steps
    must be among them. With 0 the base model ranks as it is.
    augmented: None trains on queries alone.
    """

    model: str
    lora: dict[str, Any] | None = None
    normaliser: Normaliser
    temperature: Positive = 1.0
    teacher: TeacherTable
    threads: Count
    validation_queries: Count
    arguments: dict[str, Any]
    augmented: Augmented | None = None

    def __post_init__(self) -> None:
        steps = self.arguments.get("max_steps")
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(f"arguments.max_steps is {steps!r}; give a whole number, 0 or more")
        if self.temperature != 1 and self.normaliser != "children":
            what = f"temperature is {self.temperature}, which the normaliser {self.normaliser} doesn't have"
            raise ValueError(f"{what}; give normaliser: children, or temperature: 1.0")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the model reads before the docID.

    regime: in `corpus` the prompt has the query alone, and any document of the corpus may be generated; in `in_context`
    it has the query's judged documents too, and these are ranked.
    corpus, in_context, candidate: the templates of the two regimes, and of one document in {candidates}.
    query_tokens: a longer query is cut. score: by what the documents of `in_context` are ranked; where
    validation chooses (by nDCG@10, at the end of training), the ranker's configuration keeps the choice.
    """

    regime: Regime
    corpus: str
    in_context: str
    candidate: str
    query_tokens: Count
    score: Score

    def __post_init__(self) -> None:
        needed = {"corpus": ["{query}"], "in_context": ["{query}", "{candidates}"], "candidate": ["{docid}"]}
        for name, places in needed.items():
            template = getattr(self, name)
            if re.findall(r"{\w*}", template) != places:
                raise ValueError(f"{name} is {template!r}; it needs {' and '.join(places)}, in this order, once each")

    def of(self, regime: Regime | None) -> "Prompt":
        """The prompts of another regime; None for the same."""
        return replace(self, regime=regime or self.regime)

    @property
    def template(self) -> str:
        """The template of the regime."""
        return self.in_context if self.regime == "in_context" else self.corpus

    def templates(self) -> dict[str, Any]:
        """template, candidate (None in `corpus`) and query_tokens: what the regime's prompts are made from."""
        candidate = self.candidate if self.regime == "in_context" else None
        return {"template": self.template, "candidate": candidate, "query_tokens": self.query_tokens}
