"""HTTP downloads that resume and retry. They leave a whole file or none."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm
from urllib3.exceptions import NameResolutionError

from arrange.errors import UserError
from arrange.files import remove

READ_TIMEOUT = 30.0  # seconds without a byte
FIRST_WAIT = 0.5  # seconds before the second attempt; doubled each time
CHUNK = 1 << 16


def download(
    url: str,
    path: Path,
    *,
    connect_timeout: float = 5.0,
    attempts: int = 4,
    progress: bool = True,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Download `url` to `path`; continue where an earlier call was cut off.

    The bytes received so far are in `path`.part, the server's validator (ETag or Last-Modified) beside it: if the file
    has changed on the server, the download starts again. Broken connections, 5xx answers and short bodies are tried
    again, `attempts` times in all, with `wait` called in between. A host that has no address or doesn't answer within
    `connect_timeout` seconds, and a 4xx answer, are not tried again. The progress bar appears on terminals only.
    Raises UserError, which names the host, for every failure.
    """
    host = urlsplit(url).netloc or url
    remedy = f"check the connection to {host} and try again: the bytes received so far are kept"
    try:
        for attempt in range(attempts):
            if attempt:
                wait(FIRST_WAIT * 2 ** (attempt - 1))
            try:
                return _transfer(url, path, connect_timeout, progress)
            except requests.RequestException as error:
                reason = _reason(error, connect_timeout)
                if _is_final(error):
                    break
    except OSError as error:  # of the disk: requests' own are caught above
        raise UserError(
            f"{path}: can't store the download from {host}: {error.strerror or error}",
            "make room or choose another folder",
        ) from None
    raise UserError(f"{host}: {reason}", remedy)


def _transfer(url: str, path: Path, connect_timeout: float, progress: bool) -> None:
    """One attempt: request the missing bytes, append them, rename the file when it is whole."""
    part, validator = (path.with_name(path.name + end) for end in (".part", ".part.validator"))
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = _kept(validator)
    have = part.stat().st_size if part.exists() and kept else 0
    headers = {"Accept-Encoding": "identity"}  # as stored: lengths and ranges count these bytes
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": kept}
    timeout = (connect_timeout, READ_TIMEOUT)
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            remove(part)
            raise requests.ConnectionError("the partial file is longer than the server's")
        response.raise_for_status()
        start, total = _extent(response, have)
        _check_room(path, host=urlsplit(url).netloc, missing=None if total is None else total - start)
        if not start:
            remove(part)  # first: an old part must never meet a new validator
            _keep_validator(response, validator)
        size = _append(response, part, start, total, disable=None if progress else True)
    if total is not None and size != total:
        raise requests.ConnectionError(f"the body ended after {size} of {total} bytes")
    part.replace(path)
    remove(validator)


def _extent(response: requests.Response, have: int) -> tuple[int, int | None]:
    """Where the body begins in the file, and the file's size if the server says so."""
    if response.status_code != requests.codes.partial_content:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    first, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    if first.partition("-")[0] != str(have):
        raise requests.ConnectionError(f"it sent another part than bytes {have}-")
    return have, int(total) if total.isdecimal() else None


def _check_room(path: Path, host: str, missing: int | None) -> None:
    free = shutil.disk_usage(path.parent).free
    if missing is not None and missing > free:
        raise UserError(
            f"{path}: {host} sends {missing / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB of disk are free",
            "make room or choose another folder",
        )


def _kept(validator: Path) -> str:
    """The validator of the bytes received so far; empty where there is none, or none that a header can hold."""
    try:
        value = validator.read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return value if value.isprintable() else ""


def _keep_validator(response: requests.Response, validator: Path) -> None:
    """Store the validator with which a later request can continue; without a strong one that starts again."""
    etag = response.headers.get("ETag", "")
    value = response.headers.get("Last-Modified") if etag.startswith("W/") or not etag else etag
    if value:
        validator.write_text(value)
    else:
        remove(validator)


def _append(response: requests.Response, part: Path, start: int, total: int | None, disable: bool | None) -> int:
    """Write the body after the first `start` bytes of `part`; return the file's size."""
    with (
        part.open("r+b" if start else "wb") as file,
        tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=disable) as bar,
    ):
        file.seek(start)
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        return file.tell()


def _is_final(error: requests.RequestException) -> bool:
    """Whether another attempt would fail in the same way."""
    if error.response is not None:  # the server refused
        return error.response.status_code < 500
    return isinstance(error, requests.ConnectTimeout | ValueError) or _has_no_address(error)


def _has_no_address(error: requests.RequestException) -> bool:
    return bool(error.args) and isinstance(getattr(error.args[0], "reason", None), NameResolutionError)


def _reason(error: requests.RequestException, connect_timeout: float) -> str:
    if _has_no_address(error):
        return "the host has no address (DNS)"
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {connect_timeout:g} s"
    if error.response is not None:  # the server refused
        return f"it answered {error.response.status_code} {error.response.reason}"
    if error.args and isinstance(error.args[0], str):
        return error.args[0]
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return f"the connection failed ({type(cause).__name__})"
