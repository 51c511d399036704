"""The one exception for mistakes that the person at the keyboard can mend."""


class UserError(Exception):
    """What is wrong and where, then what to do: two lines, shown without a traceback.

    >>> print(UserError("train.steps is -3", "give a number above 0"))
    train.steps is -3
    give a number above 0
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n{remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str]]:
        """So that it arrives whole from another process."""
        return type(self), (self.what, self.remedy)
