"""Exported rankers on the Hugging Face hub: arrange push exports/wordnet me/wordnet-ranker."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard
from huggingface_hub.utils import filter_repo_objects

from arrange.base_models.hub import explained, snapshot
from arrange.errors import UserError
from arrange.serving.exported import Exported, identity, load

SCHEME = "hf://"
PARTS = ("*.safetensors", "*.parquet", "*.json", "README.md", "tokenizer/*.jinja")  # of an export; no pickle
KEPT = {".gitattributes"}  # of a repository, which the hub has made


def push_to_hub(folder: Path, name: str, *, private: bool = False, licence: str = "") -> str:
    """Make the files of a repository those of an exported ranker, in one commit. Returns the commit's address.

    name: "owner/repository", which is made if it is missing. private: only of a new one. licence: as the hub spells
    it, for example "apache-2.0"; empty: that of the base model, if the export knows it.
    Raises UserError for a folder that is no whole export, and where the hub refuses or can't be reached.
    """
    load(folder)
    page = ModelCard.load(folder / "README.md")
    if licence:
        page.data.license = licence
    api = HfApi()
    with explained(f"{name!r} on the hub"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
        api.create_repo(name, private=private or None, exist_ok=True)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        files = {name: files[name] for name in filter_repo_objects(files, allow_patterns=list(PARTS))}
        others = {*api.list_repo_files(name)} - files.keys() - KEPT
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path, str(page).encode() if path == "README.md" else file)
            for path, file in sorted(files.items())
        ]
        operations += map(CommitOperationDelete, sorted(others))
        done = api.create_commit(name, operations, commit_message=f"The export {identity(folder)[:12]}")
    return str(done.commit_url)


def from_pretrained(name: str, revision: str = "main", device: str = "cpu") -> Exported:
    """A ranker of the hub, or in a folder, ready to rank. revision: a branch, a tag or a commit of the repository.

    Raises UserError where it can't be had or is no whole export.

    >>> from_pretrained("me/wordnet-ranker").rank(["poodle: a dog with a curly coat"], k=1)  # doctest: +SKIP
    """
    return load(Path(name) if Path(name).is_dir() else snapshot(name, revision, PARTS, "ranker"), device)


def opened(place: str) -> Exported:
    """The ranker in a folder, or of the hub where the place is hf://owner/repository or hf://owner/repository@revision.

    Without hf:// nothing is asked of the hub, so that a mistyped folder is told at once.
    """
    if not place.startswith(SCHEME):
        return load(Path(place))
    name, _, revision = place.removeprefix(SCHEME).partition("@")
    return load(snapshot(name, revision or "main", PARTS, "ranker"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Push, and print the commit's address; on a user's mistake print two lines and exit with code 1."""
    given = parser().parse_args(arguments)
    try:
        print(push_to_hub(given.folder, given.name, private=given.private, licence=given.licence))
    except UserError as error:
        sys.exit(str(error))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="arrange push", description="Push a ranker to the hub.")
    command.add_argument("folder", type=Path, help="of an exported ranker, for example exports/wordnet")
    command.add_argument("name", help="owner/repository")
    command.add_argument("--private", action="store_true", help="only you and your organisation see a new repository")
    command.add_argument("--licence", default="", help="for example apache-2.0 (default: the base model's, if known)")
    return command


if __name__ == "__main__":
    main()
