"""A server that speaks the Hugging Face hub's protocol: repositories, commits, LFS uploads, snapshots."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from servers import serving

TOKEN = "hf_of-the-tests"
TEMPLATE = "/{repo_id}/resolve/{revision}/{filename}"
LFS = (".safetensors", ".parquet", ".bin")  # what .gitattributes of a new repository says


@dataclass
class Hub:
    """What the server has, and what it was asked."""

    url: str = ""
    commits: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)  # by models/owner/name
    private: dict[str, bool] = field(default_factory=dict)
    cdn: str = ""  # the same server by another name: the client asks another host for what lies in LFS
    blobs: dict[str, bytes] = field(default_factory=dict)  # of LFS, by SHA-256
    asked: list[tuple[str, str]] = field(default_factory=list)  # method, path

    def add(self, repository: str, files: dict[str, bytes], message: str = "") -> str:
        """Commit files, which are all that the repository then has; its new revision."""
        content = hashlib.sha256(repr((repository, message, sorted(files.items()))).encode()).hexdigest()[:40]
        self.commits.setdefault(repository, []).append((content, files))
        return content

    def add_folder(self, repository: str, folder: Path) -> str:
        """Commit the files of a folder."""
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return self.add(repository, {name: path.read_bytes() for name, path in files.items()})

    def files(self, repository: str, revision: str = "main") -> dict[str, bytes] | None:
        """The files at a revision."""
        return next((files for sha, files in self.commits[repository][::-1] if revision in ("main", sha)), None)

    def sha(self, repository: str, revision: str) -> str:
        return self.commits[repository][-1][0] if revision == "main" else revision


class Handler(BaseHTTPRequestHandler):
    """One request. Errors carry the hub's codes, by which its client tells them apart."""

    def __init__(self, hub: Hub, *arguments: object) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path_of()
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            self.describe(f"{found[1]}/{found[2]}", found[3], found[4])
        elif found := re.fullmatch(r"/lfs/(\w+)", path):
            assert "Authorization" not in self.headers  # the token is for the hub alone
            self.send(self.hub.blobs[found[1]])
        elif found := re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.resolve(f"{found[1] or 'models'}/{found[2]}", found[3], found[4])
        else:
            self.fail(404, "")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path, body = self.path_of(), self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.fail(401, "RepoNotFound", "Invalid username or password.")
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            front = json.loads(body)["content"].split("---\n")[1]
            self.answer({"errors": [], "warnings": []} if isinstance(yaml.safe_load(front), dict) else {}, 200)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            self.preupload(f"models/{found[1]}", json.loads(body))
        elif re.fullmatch(r"/[^/]+/[^/]+\.git/info/lfs/objects/batch", path):
            self.batch(json.loads(body))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self.commit(f"models/{found[1]}", [json.loads(line) for line in body.splitlines()])
        else:
            self.fail(404, "")

    def do_PUT(self) -> None:
        content, digest = self.rfile.read(int(self.headers["Content-Length"])), self.path_of().split("/")[-1]
        assert hashlib.sha256(content).hexdigest() == digest
        self.hub.blobs[digest] = content
        self.send(b"")

    def path_of(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        return path

    def create(self, wanted: dict) -> None:
        repository = f"models/{wanted['organization'] or 'me'}/{wanted['name']}"
        if wanted["organization"] not in (None, "me"):
            self.fail(403, "", "You don't have the rights to create a model under this namespace")
        elif repository in self.hub.commits:
            self.answer({"error": "You already created this model repo", "url": self.url_of(repository)}, 409)
        else:
            self.hub.add(repository, {".gitattributes": b"*.safetensors filter=lfs\n"})
            # older clients ask by a flag
            self.hub.private[repository] = wanted.get("visibility") == "private" or wanted.get("private") is True
            self.answer({"url": self.url_of(repository)}, 200)

    def url_of(self, repository: str) -> str:
        return f"{self.hub.url}/{repository.partition('/')[2]}"

    def preupload(self, repository: str, wanted: dict) -> None:
        modes = [
            {"path": each["path"], "uploadMode": "lfs" if each["path"].endswith(LFS) else "regular"}
            for each in wanted["files"]
        ]
        self.answer({"files": [each | {"shouldIgnore": False, "oid": None} for each in modes]}, 200)

    def batch(self, wanted: dict) -> None:
        objects = [
            each | {"actions": {"upload": {"href": f"{self.hub.cdn}/lfs/{each['oid']}"}}} for each in wanted["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects}, 200)

    def commit(self, repository: str, lines: list[dict]) -> None:
        files = dict(self.hub.files(repository) or {})
        for line in lines[1:]:
            path = line["value"]["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[path] = self.hub.blobs[line["value"]["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del files[path]
        sha = self.hub.add(repository, files, lines[0]["value"]["summary"])
        self.answer({"commitUrl": f"{self.hub.url}/{repository}/commit/{sha}", "commitOid": sha}, 200)

    def found(self, repository: str, revision: str) -> dict[str, bytes] | None:
        """The files, or None after an error was sent."""
        if repository not in self.hub.commits:
            self.fail(404, "RepoNotFound")
            return None
        files = self.hub.files(repository, revision)
        if files is None:
            self.fail(404, "RevisionNotFound")
        return files

    def describe(self, repository: str, what: str, revision: str) -> None:
        files = self.found(repository, revision)
        if files is None:
            return
        if what == "revision":
            siblings = [{"rfilename": name} for name in sorted(files)]
            name = repository.partition("/")[2]
            self.answer({"id": name, "sha": self.hub.sha(repository, revision), "siblings": siblings}, 200)
            return
        entries = []
        for name, content in sorted(files.items()):
            entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            if name.endswith(LFS):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        self.answer(entries, 200)

    def resolve(self, repository: str, revision: str, name: str) -> None:
        files = self.found(repository, revision)
        if files is None:
            return
        if name not in files:
            self.fail(404, "EntryNotFound")
            return
        content, digest = files[name], hashlib.sha256(files[name]).hexdigest()
        headers = {
            "X-Repo-Commit": self.hub.sha(repository, revision),
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
        }
        if not name.endswith(LFS):
            self.send(content, 200, headers)
            return
        self.hub.blobs[digest] = content
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"'}
        self.send(b"", 302, headers | {"Location": f"{self.hub.cdn}/lfs/{digest}"})

    def answer(self, content: object, status: int) -> None:
        self.send(json.dumps(content).encode(), status, {"Content-Type": "application/json"})

    def fail(self, status: int, code: str, message: str = "") -> None:
        self.send(b"{}", status, {"X-Error-Code": code, "X-Error-Message": message})

    def send(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ((headers or {}) | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def running() -> Iterator[Hub]:
    """A hub on this machine alone."""
    hub = Hub()
    with serving(partial(Handler, hub)) as address:
        hub.url, hub.cdn = f"http://{address}", f"http://{address.replace('127.0.0.1', 'localhost')}"
        yield hub


def use(hub: Hub, monkeypatch, cache: Path) -> None:
    """Make this process a client of the hub, with an empty cache. huggingface_hub read the environment long ago."""
    for name, value in {"ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.url + TEMPLATE)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def environment(hub: Hub, cache: Path) -> dict[str, str]:
    """What makes another process a client of the hub."""
    return {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
