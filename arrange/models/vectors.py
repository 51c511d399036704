"""Document vectors: texts of similar meaning get vectors that are near. Several schemes of docIDs use them.

D documents, E numbers of a vector, V terms. Vectors have length 1, or 0 for a text without a known term.
The settings are declared here too, so this module imports without torch and scikit-learn, which take seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits

from arrange.bounds import Count, Seed
from arrange.errors import UserError
from arrange.files import replacing
from arrange.tokenization import TERM

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

Floats = NDArray[np.float32]

TFIDF_SVD = "tfidf-svd"
TERMS = 100_000  # the most frequent ones
TITLE_TOKENS = 128  # of a text, for a sentence encoder


@dataclass(frozen=True)
class VectoriserSettings:
    """Settings: how texts become vectors.

    name: "tfidf-svd", or a sentence encoder by folder or by name on the hub, which ignores the two others.
    dimensions: numbers of a vector, at most; see `fit_tfidf_svd`.
    """

    name: str
    dimensions: Count
    seed: Seed

    def fit(self, texts: Sequence[str]) -> "TfidfSvd | SentenceEncoder":
        """A function of texts that returns their vectors, D x E. "tfidf-svd" is fitted to `texts` first."""
        if self.name != TFIDF_SVD:
            return SentenceEncoder(self.name)
        return fit_tfidf_svd(texts, self.dimensions, self.seed)


@dataclass(frozen=True, eq=False)
class TfidfSvd:
    """TF-IDF weights (1 + log tf) * idf, and their projection on the first singular vectors (LSA)."""

    terms: list[str]
    idf_V: Floats
    components_VE: Floats

    @threadpool_limits.wrap(limits=1)  # sums in one order
    def __call__(self, texts: Sequence[str]) -> Floats:
        """The vectors, D x E."""
        from sklearn.preprocessing import normalize  # here: see the top

        counter = _tfidf(vocabulary=self.terms)
        counter.idf_ = self.idf_V
        return normalize(counter.transform(texts) @ self.components_VE)

    def save(self, path: Path) -> None:
        """Write one safetensors file; the terms are in it as UTF-8, one a line."""
        terms = np.frombuffer("\n".join(self.terms).encode(), np.uint8)
        with replacing(path) as part:
            save_file({"terms": terms, "idf_V": self.idf_V, "components_VE": self.components_VE}, part)


def fit_tfidf_svd(texts: Sequence[str], dimensions: int, seed: int) -> TfidfSvd:
    """Fit terms, idf and projection to `texts`: the documents', and training queries if wanted; never test queries.

    Fewer dimensions come out where there are fewer terms or texts. Each component's sign is chosen so that its
    largest entry is positive. Same texts and seed: same numbers, whatever the number of threads.
    Raises UserError when no text has a letter or digit.

    >>> vectors = fit_tfidf_svd(["red shoe", "blue shoe", "garden hose"], dimensions=2, seed=1)
    >>> vectors(["shoe", "xyz"]).round(2) + 0
    array([[1., 0.],
           [0., 0.]], dtype=float32)
    """
    from sklearn.decomposition import TruncatedSVD  # here: see the top

    counter = _tfidf(max_features=TERMS)
    try:
        weights_DV = counter.fit_transform(texts)
    except ValueError:
        raise UserError("document vectors: no text has a letter or a digit", "give the documents texts") from None
    svd = TruncatedSVD(min(dimensions, *weights_DV.shape), random_state=seed)
    with threadpool_limits(1):
        svd.fit(weights_DV)
    components_VE = np.ascontiguousarray(svd.components_.T, np.float32)
    return TfidfSvd(counter.get_feature_names_out().tolist(), counter.idf_.astype(np.float32), components_VE)


def load_tfidf_svd(path: Path) -> TfidfSvd:
    """Read what `TfidfSvd.save` wrote. Raises UserError for a file that is missing, damaged or something else."""
    try:
        arrays = load_file(path)
        return TfidfSvd(arrays.pop("terms").tobytes().decode().split("\n"), **arrays)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a vectoriser: {error}", "build the docIDs again") from error


class SentenceEncoder:
    """A transformer's hidden states, averaged over a text's tokens; `name` is a folder or a model on the hub.

    Model cards call this mean pooling. If a card asks for a prefix ("passage: "), the caller must add it.
    Raises UserError where there is no such model.
    """

    def __init__(self, name: str) -> None:
        from arrange.models.encoders import by_name  # here: it imports torch

        self.tokenizer, self.model = by_name(name)

    def __call__(self, texts: Sequence[str]) -> Floats:
        """The vectors, D x E."""
        from arrange.models.encoders import encode
        from arrange.models.pretrained import most_tokens

        tokens = encode(self.tokenizer, list(texts), min(TITLE_TOKENS, most_tokens(self.model.body, self.tokenizer)))
        return self.model.vectors(tokens).float().numpy(force=True)


def _tfidf(**options: object) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer  # here: see the top

    return TfidfVectorizer(token_pattern=TERM, sublinear_tf=True, dtype=np.float32, **options)
