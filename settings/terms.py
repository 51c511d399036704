"""What the sections say of losses with a teacher, mined documents or siblings, checked against each other."""

from typing import TYPE_CHECKING

from arrange.training.settings import NO_TEACHER
from settings.entries import having

if TYPE_CHECKING:
    from settings.sections import Settings


def check_terms(settings: "Settings") -> None:
    """Raise ValueError where a loss has a part that a ranker's table, its regime, n-grams or the swap can't give it."""
    table = settings.finetune.teacher.table
    for key, ngrams in settings.ngram.items():
        loss, where = settings.losses[ngrams.loss], f"ngram.{key}.loss is {ngrams.loss!r}"
        if loss.teacher.weight or loss.mined.documents or loss.terms.prefix.weight:
            what = f"{where}, which needs a teacher, mined documents or the docIDs' siblings, and n-grams have none"
            raise ValueError(f"{what}; name a loss without `teacher`, `mined` and `terms.prefix`")
    for place, entry in having(settings, "loss", "arguments").items():
        loss, where = settings.losses[entry.loss], f"{place}.loss is {entry.loss!r}"
        regime = settings.prompt.of(getattr(entry, "regime", None)).regime
        if loss.teacher.weight and table == NO_TEACHER:
            what = (
                f"{where}, which learns from a teacher, but finetune.teacher.table is {table}, a run without documents"
            )
            raise ValueError(f"{what}; name candidates/<entry>.parquet, or the whole path of a run file")
        if loss.mined.documents and regime == "in_context":
            what = f"{where}, which mines documents, but the regime is in_context, whose prompts show all candidates"
            raise ValueError(f"{what}; take the regime corpus, or a loss without `mined`")
    loss = settings.losses[settings.swap.loss]
    if loss.teacher.weight or loss.mined.documents:
        what = f"swap.loss is {settings.swap.loss!r}, which has a teacher or mined documents, and a swap gives it none"
        raise ValueError(f"{what}; name a loss without `teacher` and `mined`")
