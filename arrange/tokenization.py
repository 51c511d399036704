"""What counts as a word: patterns for vectorisers. Chinese and Japanese put no spaces: there every character is one."""

CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff"
TERM = rf"[{CHARACTERS}]|[^\W{CHARACTERS}]+"  # elsewhere runs of letters and digits
WORD = rf"[{CHARACTERS}]|[^\W{CHARACTERS}]{{2,}}"  # of at least two, as search engines and scikit-learn have it
