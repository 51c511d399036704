"""Mutators that ask a language model for a change, a rewrite, a crossover, or a program from nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from string import Template

import numpy as np

from arrange.activations.mutators.answers import patched, rewritten
from arrange.activations.mutators.endpoint import ask_all, bound, verify
from arrange.activations.mutators.feedback import told
from arrange.activations.programs.check import Rejected
from arrange.activations.programs.grammar import FUNCTIONS
from arrange.activations.programs.plain import plain
from arrange.activations.search.candidates import Candidate, Mutator, Proposal, Slot, Unusable
from arrange.activations.search.database import LlmCache
from arrange.activations.settings import Llm
from arrange.errors import UserError

PARENTS = {"diff": 1, "full": 1, "crossover": 2, "sample": 0}  # of each kind of question; its text is in prompts/
REFUSALS = 3  # that a question shows
LONGEST = 600  # characters of a refused program; of a longer one the reason alone is shown


def llm_mutators(llm: Llm, cache: LlmCache) -> dict[str, Mutator]:
    """Four mutators by name that share an endpoint and a budget. Raises UserError where its url or key can't be used.

    `llm_diff` and `llm_full` change the first parent and show the others; `llm_crossover` joins the first two.
    These three show why the last programs of language models were refused, too. `llm_sample` shows nothing and so draws
    independent samples. So does any mutator that has too few parents.
    """
    verify(llm)
    questions = Questions(llm, cache)
    return {f"llm_{name}": Questioner(name, questions) for name in PARENTS}


@dataclass(frozen=True)
class Questioner:
    """A mutator that asks one of the four kinds of question."""

    name: str
    questions: "Questions"

    def prepare(self, parents: Sequence[Candidate], slot: Slot) -> None:
        """Add its question to those of the round."""
        self.questions.put(slot, self._prompt(parents, slot))

    def __call__(self, parents: Sequence[Candidate], rng: np.random.Generator, slot: Slot) -> Proposal:
        """The model's program, plain. Raises Unusable where the answer holds none or the budget is spent."""
        kind, used = self._question(parents)
        answer = self.questions.answer(slot, self._prompt(parents, slot))
        try:
            source = patched(plain(used[0].source), answer) if kind == "diff" else rewritten(answer)
            return Proposal(plain(source), tuple(parent.id for parent in used))
        except (Unusable, Rejected) as refused:
            self.questions.unusable[slot] = str(refused)
            raise Unusable(str(refused)) from None

    def spent(self, generation: int) -> bool:
        """Whether the budget allows no question of this generation or a later one."""
        return self.questions.spent(generation)

    def _prompt(self, parents: Sequence[Candidate], slot: Slot) -> str:
        kind, used = self._question(parents)
        return prompt(kind, used, self.questions.refusals(slot) if used else ())

    def _question(self, parents: Sequence[Candidate]) -> tuple[str, Sequence[Candidate]]:
        kind = self.name if len(parents) >= PARENTS[self.name] else "sample"
        return kind, parents if PARENTS[kind] else ()


class Questions:
    """The questions of a round, asked at once and within a budget.

    A question is granted if the cost of the rounds before, plus the most that this round's questions up to this one
    can cost, is within the budget. So the budget is never exceeded, and neither the order of the answers nor a restart
    changes which questions are granted. What a round did not use of the most it could cost is left for the next one.
    """

    def __init__(self, llm: Llm, cache: LlmCache) -> None:
        self._llm = llm
        self._cache = cache
        self._round = (-1, -1)
        self._before = (0, 0.0)  # calls and money
        self._granted: list[tuple[Slot, str]] = []
        self.unusable: dict[Slot, str] = {}  # answers without a program, and why

    def refusals(self, slot: Slot) -> list[str]:
        """Why programs of language models were refused: earlier answers for this place, then the latest candidates.

        Only what earlier generations committed and this one's earlier rounds gave: after a restart it is the same.
        """
        earlier = [replace(slot, attempt=attempt) for attempt in reversed(range(slot.attempt))]
        mine = [("", "unusable", self.unusable[one]) for one in earlier if one in self.unusable]
        shown = dict.fromkeys(refusal(*one) for one in (*mine, *self._cache.refused(slot.generation)))
        return [text for text in shown if text][:REFUSALS]

    def put(self, slot: Slot, question: str) -> None:
        """Add a question to its round, if the budget allows it."""
        if slot.round != self._round:
            self._round, self._before, self._granted = slot.round, self._cache.spent(before=slot.round), []
        if (slot, question) not in self._granted and self._affordable(question):
            self._granted.append((slot, question))

    def answer(self, slot: Slot, question: str) -> str:
        """The answer, after all answers of the round are in the cache. Raises Unusable where there is none."""
        self.put(slot, question)
        if (slot, question) not in self._granted:
            raise Unusable("budget")
        self._ask()
        text, error = self._cache.recall(slot, question) or ("", "")
        if not text.strip():
            raise Unusable(f"no answer: {error}" if error else "no answer")
        return text

    def spent(self, generation: int) -> bool:
        """Whether the calls before this generation leave too little for the shortest question there is."""
        calls, money = self._cache.spent(before=(generation, 0))
        most = bound(self._llm, prompt("sample", []))
        return calls >= self._llm.calls or money + self._llm.cost(most.tokens_in, most.tokens_out) > self._llm.money

    def _affordable(self, question: str) -> bool:
        calls, money = self._before
        most = [bound(self._llm, each) for each in (*(granted for _, granted in self._granted), question)]
        money += sum(self._llm.cost(each.tokens_in, each.tokens_out) for each in most)
        return calls + len(most) <= self._llm.calls and money <= self._llm.money

    def _ask(self) -> None:
        """Ask what the cache has no answer to. Each answer is written as it comes, before it is used.

        Raises UserError where no question of the search was ever answered: the url, the key or the model is wrong.
        """
        new = [(slot, question) for slot, question in self._granted if self._cache.recall(slot, question) is None]
        errors = Counter[str]()
        for index, answer in ask_all(self._llm, [question for _, question in new]) if new else ():
            used = answer.tokens_in, answer.tokens_out
            self._cache.record(*new[index], answer.text, *used, self._llm.cost(*used), answer.error)
            errors[answer.error] += 1
        if new and not errors[""] and not self._cache.answered():
            self._cache.forget([slot for slot, _ in new])
            raise UserError(
                f"{self._llm.url} answered none of {len(new)} questions: {errors.most_common(1)[0][0]}",
                f"check llm.url, the key and llm.model {self._llm.model!r}, then run again: the search goes on",
            )


def prompt(kind: str, parents: Sequence[Candidate], refusals: Sequence[str] = ()) -> str:
    """The question of that kind about these programs, from the files in prompts/. `refusals`: what `refusal` wrote."""
    programs = [f"Fitness {parent.confirmed:+.3f}:\n```python\n{plain(parent.source)}```" for parent in parents]
    programs += ["Refused lately; make none of these mistakes:", *refusals] if refusals else []
    return _file(kind).substitute(
        rules=_file("rules").substitute(functions=", ".join(FUNCTIONS)), programs="\n\n".join(programs)
    )


def refusal(source: str, reason: str, detail: str) -> str:
    """A refused program and why; "" where there is nothing to learn from it. Both are in words of ours alone."""
    why = told(reason, detail)
    if not why or not source:
        return why and f"- {why}"
    shown = plain(source)
    return f"- {why}:\n```python\n{shown}```" if len(shown) <= LONGEST else f"- {why}"


def _file(name: str) -> Template:
    return Template(files("arrange.activations.mutators").joinpath(f"prompts/{name}.md").read_text("utf-8"))
