"""What the log-probability of a docID's token is normalised over: in training, and in ranking.

- `vocabulary`: all tokens of the model, as in Hugging Face's `generate`. The whole head is computed for every prefix.
- `docid_tokens`: the tokens that occur in docIDs. Legal and illegal ones compete, all other tokens don't.
- `children`: the tokens that may follow in the trie of all docIDs. So the catalogue has all the mass, and a prefix of
  one document has the probability of that document. Whatever follows that prefix counts for nothing, however well it
  suits the query (the label bias of Lafferty et al. 2001): with titles as docIDs this ranks far worse than the other
  two (RESULTS.md). Training over children is the masked softmax of arXiv 2504.04178. A temperature divides the logits:
  a model from scratch, whose logits are small, learns far more at 0.1 than at 1. The model's configuration keeps it, so
  whatever ranks with `children` later has that of the training.

Importable without torch: a flow checks settings without waiting for it.
"""

from typing import Any, Literal

Normaliser = Literal["vocabulary", "docid_tokens", "children"]


def temperature_of(config: Any) -> float:
    """What the logits are divided by under `children`, of a model's configuration; 1 where no training has set it."""
    return float(getattr(config, "children_temperature", 1.0))
