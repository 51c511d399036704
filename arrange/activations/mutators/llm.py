"""Mutators that ask a language model: for a change, a rewrite, a crossover, or a program from nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import numpy as np

from arrange.activations.mutators.answers import patched, rewritten
from arrange.activations.mutators.endpoint import Llm, ask_all, bound, verify
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
    questions = Questions(settings, ledger)
    return {f"llm_{name}": Questioner(name, questions) for name in PARENTS}


@dataclass(frozen=True)
class Questioner:
    """A mutator that asks one of the four questions."""

    name: str
    questions: "Questions"

    def prepare(self, parents: Sequence[Shown], slot: Slot) -> None:
        """Have its question asked together with the round's others."""
        self.questions.put(slot, prompt(*self._question(parents)))

    def __call__(self, parents: Sequence[Shown], rng: np.random.Generator, slot: Slot) -> Proposal:
        """The model's program, checked. Raises Unusable for an answer without one and when the budget is spent."""
        kind, shown = self._question(parents)
        answer = self.questions.answer(slot, prompt(kind, shown))
        source = patched(shown[0].source, answer) if kind == "diff" else rewritten(answer)
        try:
            check(source)
        except Rejected as rejected:
            raise Unusable(str(rejected)) from None
        return Proposal(source, f"llm_{self.name}", tuple(parent.id for parent in shown))

    def _question(self, parents: Sequence[Shown]) -> tuple[str, Sequence[Shown]]:
        kind = self.name if len(parents) >= PARENTS[self.name] else "sample"
        return kind, parents if PARENTS[kind] else ()


class Questions:
    """The questions of a round, asked at once within a budget.

    The budget is judged by what the rounds before have cost and the most that this round's questions up to here can
    cost, be they answered or not: so it is never passed, and neither the order of the answers nor a restart decides
    who may ask. Near its end a round leaves over what its answers might have cost, and the next one may use that.
    """

    def __init__(self, settings: Llm, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._round = (-1, -1)
        self._before = (0, 0.0)  # calls and money
        self._granted: list[tuple[Slot, str]] = []

    def put(self, slot: Slot, question: str) -> None:
        """Have it asked with the others of its round, if there is budget left for it."""
        if slot.round != self._round:
            self._round, self._before, self._granted = slot.round, self._ledger.spent(before=slot.round), []
        if (slot, question) not in self._granted and self._affordable(question):
            self._granted.append((slot, question))

    def answer(self, slot: Slot, question: str) -> str:
        """The answer, once all that the round asks are in the ledger. Raises Unusable where there is none."""
        self.put(slot, question)
        if (slot, question) not in self._granted:
            raise Unusable("budget")
        self._ask()
        text, error = self._ledger.recall(slot, question) or ("", "")
        if not text.strip():
            raise Unusable(f"no answer: {error}" if error else "no answer")
        return text

    def _affordable(self, question: str) -> bool:
        calls, money = self._before
        most = [bound(self._settings, each) for each in (*(granted for _, granted in self._granted), question)]
        money += sum(self._settings.cost(each.tokens_in, each.tokens_out) for each in most)
        return calls + len(most) <= self._settings.calls and money <= self._settings.money

    def _ask(self) -> None:
        """Ask what the ledger has no answer to. Each is in there as it comes, before anybody reads it."""
        new = [(slot, question) for slot, question in self._granted if self._ledger.recall(slot, question) is None]
        for index, answer in ask_all(self._settings, [question for _, question in new]) if new else ():
            used = answer.tokens_in, answer.tokens_out
            self._ledger.record(*new[index], answer.text, *used, self._settings.cost(*used), answer.error)


def prompt(kind: str, parents: Sequence[Shown]) -> str:
    """The question of that kind about these programs, from the files beside this one."""
    programs = [f"Fitness {parent.fitness:+.3f}:\n```python\n{parent.source.strip()}\n```" for parent in parents]
    return _file(kind).substitute(
        rules=_file("rules").substitute(functions=", ".join(FUNCTIONS)), programs="\n\n".join(programs)
    )


def _file(name: str) -> Template:
    return Template(files("arrange.activations.mutators").joinpath(f"prompts/{name}.md").read_text("utf-8"))
