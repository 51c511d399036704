"""What the sections say of losses with a teacher, mined documents or siblings, checked against each other."""

from typing import TYPE_CHECKING

from arrange.training.settings import NO_TEACHER

if TYPE_CHECKING:
    from settings.sections import Settings


def check_terms(settings: "Settings") -> None:
    """Raise ValueError where a loss has a part that a ranker's table, its regime, n-grams or the swap can't give it."""
    table = settings.finetune.teacher.table
    shown = {f"listwise.{name}": entry.loss for name, entry in settings.listwise.items()}
    every = shown | {f"rankers.{name}": entry.loss for name, entry in settings.rankers.items()}
    for name, entry in settings.rankers.items():
        if settings.prompt.of(entry.regime).regime == "in_context":
            shown[f"rankers.{name}"] = entry.loss
    for place, name in every.items():
        loss, where = settings.losses[name], f"{place}.loss is {name!r}"
        if loss.teacher.weight and table == NO_TEACHER:
            what = (
                f"{where}, which learns from a teacher, but finetune.teacher.table is {table}, a run without documents"
            )
            raise ValueError(f"{what}; name candidates/<entry>.parquet, or the whole path of a run file")
        if loss.mined.documents and place in shown:
            what = f"{where}, which mines documents, but the regime is in_context, whose prompts show all candidates"
            raise ValueError(f"{what}; take the regime corpus, or a loss without `mined`")
    for key, ngrams in settings.ngram.items():
        loss, where = settings.losses[ngrams.loss], f"ngram.{key}.loss is {ngrams.loss!r}"
        if loss.teacher.weight or loss.mined.documents or loss.terms.prefix.weight:
            what = f"{where}, which needs a teacher, mined documents or the docIDs' siblings, and n-grams have none"
            raise ValueError(f"{what}; name a loss without `teacher`, `mined` and `terms.prefix`")
    loss = settings.losses[settings.swap.loss]
    if loss.teacher.weight or loss.mined.documents:
        what = f"swap.loss is {settings.swap.loss!r}, which has a teacher or mined documents, and a swap gives it none"
        raise ValueError(f"{what}; name a loss without `teacher` and `mined`")
