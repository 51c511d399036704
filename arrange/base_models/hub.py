"""Repositories of the Hugging Face hub: snapshots in its local cache, and its client's errors in two lines.

HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to huggingface_hub.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from arrange.errors import UserError


def snapshot(name: str, revision: str, wanted: Sequence[str], what: str, kind: str = "model") -> Path:
    """The folder of a repository's files in the hub's local cache, fetched where they are not there yet.

    revision: a branch, a tag or a commit. wanted: patterns of the files. what: the repository, for messages. kind:
    "model" or "dataset". Without a connection the cache is enough.
    Raises UserError where it can't be had.
    """
    from huggingface_hub import snapshot_download  # here: it takes a second to import

    with explained(f"{what} {name!r} of the hub"):
        return Path(snapshot_download(name, repo_type=kind, revision=revision, allow_patterns=list(wanted)))


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise a UserError about `what` for whatever the hub's client raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of huggingface_hub, of its HTTP client, of the file system
        reason, remedy = _explanation(error)
        raise UserError(f"{what}: {reason}", remedy) from None


def _explanation(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do."""
    from huggingface_hub import constants, errors

    absent = (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)
    if constants.HF_HUB_OFFLINE and isinstance(error, absent):
        return "it is not in the local cache, and HF_HUB_OFFLINE=1 forbids to ask", "unset HF_HUB_OFFLINE"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision", "give a branch, a tag or a commit of it"
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return (
            f"it isn't there, or isn't open to you (status {status})",
            "check its name; `hf auth login` or HF_TOKEN says who you are",
        )
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return reason[:300], "check its name, the connection and HF_ENDPOINT"
