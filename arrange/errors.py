"""The one exception for mistakes that the person at the keyboard can mend; a package that is missing is one of them."""

from collections.abc import Iterator
from contextlib import contextmanager


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


class MissingExtra(UserError, ImportError):  # noqa: N818, as UserError is what is caught
    """A package is missing that an extra of the library brings."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports of packages that only the extra `name` brings: arrange[name] in pyproject.toml.

    Raises MissingExtra, which says how to install it, where one of them is missing.

    >>> with extra("report"):
    ...     import a_plotting_library
    Traceback (most recent call last):
    arrange.errors.MissingExtra: the package a_plotting_library is not installed
    pip install "arrange[report]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        what = f"the package {error.name} is not installed"
        raise MissingExtra(what, f'pip install "arrange[{name}]"') from None
