"""Where new programs come from. To add mutators, write a module that makes them, and name it here."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from arrange.activations.search.candidates import Mutator
    from arrange.activations.search.database import LlmCache
    from arrange.activations.settings import Llm, SearchEntry

MutatorSet = Literal["expression", "llm"]
INDEPENDENT = ("random", "llm_sample")  # mutators that use no parents: those of the control


def make_mutators(entry: "SearchEntry", llm: "Llm", cache: "LlmCache") -> "dict[str, Mutator]":
    """The mutators of a search by name: the grammar's, a language model's or both; for the control, INDEPENDENT ones.

    Raises UserError where a language model is asked for and its url or its key cannot be used.
    """
    from arrange.activations.mutators.expression import expression_mutators  # torch, which settings.py does without
    from arrange.activations.mutators.llm import llm_mutators

    mutators: dict[str, Mutator] = {}
    if "expression" in entry.mutators:
        mutators |= expression_mutators()
    if "llm" in entry.mutators:
        mutators |= llm_mutators(llm, cache)
    return {name: made for name, made in mutators.items() if entry.arm == "evolution" or name in INDEPENDENT}
