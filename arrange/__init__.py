"""Autoregressive ranking: the science, importable alone.

What most users start with is here by its short name, and imported when it is first used, so that this module and
`arrange.docids` need no torch:

    build_trie(texts)        the trie of docIDs that are texts
    finetune(lists)          a ranker from queries and their ranked documents
    load(folder)             a ranker that was exported
    activation(name)         an activation function as a torch module
    evolve(problem, budget)  a search for activation functions with a fitness of one's own

>>> import arrange
>>> trie = arrange.build_trie(["dog", "dogfish", "cat"])
>>> trie.walk(b"dogf") > 0, trie.walk(b"cow")
(True, -1)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arrange.errors import UserError

if TYPE_CHECKING:
    from arrange.activations import activation
    from arrange.activations.search.own import evolve
    from arrange.docids.tokens import build_trie
    from arrange.serving.exported import load
    from arrange.serving.finetuned import finetune

__all__ = ["UserError", "activation", "build_trie", "evolve", "finetune", "load"]

_HOME = {
    "activation": "arrange.activations",
    "build_trie": "arrange.docids.tokens",
    "evolve": "arrange.activations.search.own",
    "finetune": "arrange.serving.finetuned",
    "load": "arrange.serving.exported",
}


def __getattr__(name: str) -> Any:
    """What is asked for by its short name, from the module that has it."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
