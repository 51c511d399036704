"""The settings of exports. Importable without torch: a flow checks settings without waiting for it."""

from dataclasses import dataclass
from typing import Literal

Adapters = Literal["merged", "apart"]


@dataclass(frozen=True, kw_only=True)
class Export:
    """adapters: of a ranker that was trained with LoRA: merged into its weights, or apart, without the base model."""

    adapters: Adapters
