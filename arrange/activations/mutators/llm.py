"""Mutators that ask a language model: for a change, a rewrite, a crossover, or a program from nothing."""

from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from string import Template

import numpy as np

from arrange.activations.mutators.answers import patched, rewritten
from arrange.activations.mutators.endpoint import Llm, ask, bound, verify
from arrange.activations.programs.check import Rejected, check
from arrange.activations.programs.grammar import FUNCTIONS
from arrange.activations.search.proposals import Ledger, Mutator, Proposal, Shown, Slot, Unusable

PARENTS = {"diff": 1, "full": 1, "crossover": 2, "sample": 0}  # how many each needs; one file in prompts/ each


def llm(settings: Llm, ledger: Ledger) -> dict[str, Mutator]:
    """Four mutators that share an endpoint and a budget, by name. Raises UserError where its url or key can't be used.

    `llm_diff` and `llm_full` change the first parent and show the others, `llm_crossover` joins the first two.
    `llm_sample` shows none: independent samples of the model, the control. So does any that has too few parents.
    """
    verify(settings)
    return {f"llm_{name}": partial(_propose, settings, ledger, name) for name in PARENTS}


def _propose(
    settings: Llm, ledger: Ledger, name: str, parents: Sequence[Shown], rng: np.random.Generator, slot: Slot
) -> Proposal:
    """The model's program, checked. Raises Unusable for an answer without one and when the budget is spent."""
    kind = name if len(parents) >= PARENTS[name] else "sample"
    shown = parents if PARENTS[kind] else ()
    answer = _answer(settings, ledger, slot, prompt(kind, shown))
    source = patched(shown[0].source, answer) if kind == "diff" else rewritten(answer)
    try:
        check(source)
    except Rejected as rejected:
        raise Unusable(str(rejected)) from None
    return Proposal(source, f"llm_{name}", tuple(parent.id for parent in shown))


def prompt(kind: str, parents: Sequence[Shown]) -> str:
    """The question of that kind about these programs, from the files beside this one."""
    programs = [f"Fitness {parent.fitness:+.3f}:\n```python\n{parent.source.strip()}\n```" for parent in parents]
    return _file(kind).substitute(
        rules=_file("rules").substitute(functions=", ".join(FUNCTIONS)), programs="\n\n".join(programs)
    )


def _file(name: str) -> Template:
    return Template(files("arrange.activations.mutators").joinpath(f"prompts/{name}.md").read_text("utf-8"))


def _answer(settings: Llm, ledger: Ledger, slot: Slot, question: str) -> str:
    """The answer, from the ledger if it was paid for before; what is new is in the ledger before anybody reads it."""
    answer = ledger.recall(slot, question)
    if answer is None:
        calls, money = ledger.spent()
        most = bound(settings, question)
        if calls >= settings.calls or money + settings.cost(most.tokens_in, most.tokens_out) > settings.money:
            raise Unusable("budget")
        new = ask(settings, question)
        spent = settings.cost(new.tokens_in, new.tokens_out)
        ledger.record(slot, question, new.text, new.tokens_in, new.tokens_out, spent, new.error)
        if new.error:
            raise Unusable(f"no answer: {new.error}")
        answer = new.text
    if not answer.strip():
        raise Unusable("no answer")
    return answer
