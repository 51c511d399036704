"""The settings of a training and of its prompts; `arrange.training.losses` has those of the losses.

Importable without torch: a flow checks settings without waiting for it.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from arrange.bounds import Count

Score = Literal["sum", "mean"]  # of the log-probabilities of a docID's tokens


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """How a ranker is trained.

    model: "scratch" for random weights in the shape `scratch`, or a causal language model by name or folder.
    scratch: `model_type` and options of that type's configuration in transformers.
    lora: options of `peft.LoraConfig`; None trains all weights.
    threads: another number of threads rounds otherwise, so it gives other weights.
    validation_queries: so many validation queries are ranked at every evaluation.
    arguments: of `transformers.TrainingArguments`, without those that `arrange.training.arguments` refuses; max_steps
    must be among them.
    """

    model: str
    scratch: dict[str, Any]
    lora: dict[str, Any] | None = None
    threads: Count
    validation_queries: Count
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        steps = self.arguments.get("max_steps")
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"arguments.max_steps is {steps!r}; give a whole number above 0")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the model reads before the docID.

    regime: in `corpus` the prompt has the query alone, and any document of the corpus may be generated; in `in_context`
    it has the query's judged documents too, and these are ranked.
    corpus, in_context, candidate: the templates of the two regimes, and of one document in {candidates}.
    query_tokens: a longer query is cut. score: by what the documents of `in_context` are ranked.
    """

    regime: Literal["corpus", "in_context"]
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

    @property
    def template(self) -> str:
        """The template of the regime."""
        return self.in_context if self.regime == "in_context" else self.corpus

    def templates(self) -> dict[str, Any]:
        """template, candidate (None in `corpus`) and query_tokens: what the regime's prompts are made from."""
        candidate = self.candidate if self.regime == "in_context" else None
        return {"template": self.template, "candidate": candidate, "query_tokens": self.query_tokens}
