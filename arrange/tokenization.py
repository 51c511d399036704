"""Regular expressions for words, of BM25 and TF-IDF. Chinese and Japanese have no spaces: each character is a word."""

CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff"
TERM = rf"[{CHARACTERS}]|[^\W{CHARACTERS}]+"  # in other scripts: a run of letters and digits
WORD = rf"[{CHARACTERS}]|[^\W{CHARACTERS}]{{2,}}"  # at least two of them, as in scikit-learn
