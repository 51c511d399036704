"""A report as Markdown with pictures, and as one HTML page that has all in it and needs no other file."""

import base64
import json
import re
import shutil
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from arrange.errors import UserError

TEMPLATES = Environment(
    loader=PackageLoader("arrange.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
INTERVAL = re.compile(r"^([+-]?\d+\.\d+) (\(.+)$")  # 0.512 (0.490-0.534) ±0.012, or +0.031 (.. to ..), p 0.004


class Heading(NamedTuple):
    level: int
    id: str
    text: str


def write(title: str, parts: Sequence[str | Markup], folder: Path) -> None:
    """Write report.md, which has the parts in Markdown, and report.html, which has them all, below a title.

    `folder` has the pictures, see `render`. parts.json has the parts as they are, for `parts_of`.
    """
    kept = [{"html": isinstance(part, Markup), "text": part} for part in parts]
    (folder / "parts.json").write_text(json.dumps(kept, indent=1))
    in_markdown = [part for part in parts if not isinstance(part, Markup)]
    (folder / "report.md").write_text("\n\n".join([f"# {title}", *in_markdown]) + "\n")
    (folder / "report.html").write_text(render(title, parts, folder))


def parts_of(report: Path, folder: Path) -> list[str | Markup]:
    """The parts of the report in another folder, for one in `folder`; its pictures are copied there."""
    for picture in sorted(report.glob("*.png")):
        shutil.copyfile(picture, folder / picture.name)
    kept = json.loads((report / "parts.json").read_text())
    return [Markup(part["text"]) if part["html"] else part["text"] for part in kept]


def included(report: Path, folder: Path) -> str:
    """The Markdown of the report in another folder as a part of one in `folder`; its pictures are copied there."""
    for picture in sorted(report.glob("*.png")):
        shutil.copyfile(picture, folder / picture.name)
    return "#" + (report / "report.md").read_text().rstrip("\n")  # its title becomes a heading of level 2


def render(title: str, parts: Iterable[str | Markup], folder: Path) -> str:
    """The HTML page of these parts. A part is Markdown, in which HTML is text like any other, or HTML as `Markup`.

    A picture of the Markdown is the name of a PNG file of `folder` and becomes part of the page. Headings of level 2
    and 3 are the page's table of contents. Raises UserError for a picture that isn't there.

    >>> "<h1>Zoo</h1>" in render("Zoo", ["A *tiger*.", Markup("<p>A lion.</p>")], Path("."))
    True
    """
    markdown = MarkdownIt("js-default", renderer_cls=_Renderer)  # with tables, without HTML
    context: dict[str, Any] = {"folder": folder, "headings": []}
    body = [part if isinstance(part, Markup) else Markup(markdown.render(part, context)) for part in parts]
    return TEMPLATES.get_template("page.html").render(title=title, body=body, headings=context["headings"])


class _Renderer(RendererHTML):
    """HTML with the pictures in it, headings that have ids, and tables that scroll and name their rows."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:
        tokens[idx].attrSet("src", _data_uri(env["folder"], str(tokens[idx].attrs["src"])))
        return super().image(tokens, idx, options, env)

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:
        level, text = int(tokens[idx].tag[1]), tokens[idx + 1].content.replace("`", "")
        above = [heading.id for heading in env["headings"] if heading.level < level]
        name = re.sub(r"\W+", "-", text.lower()).strip("-")
        env["headings"].append(Heading(level, "-".join([*above[-1:], name]), text))
        tokens[idx].attrSet("id", env["headings"][-1].id)
        return self.renderToken(tokens, idx, options, env)

    def table_open(self, *_: Any) -> str:
        return '<div class="wide" tabindex="0"><table>\n'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def td_open(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:
        if tokens[idx - 1].type == "tr_open":  # td_open, inline, td_close: the first cell names the row
            tokens[idx].tag = tokens[idx + 2].tag = "th"
            tokens[idx].attrSet("scope", "row")
        return self.renderToken(tokens, idx, options, env)

    def text(self, tokens: Sequence[Token], idx: int, *rest: Any) -> str:
        return INTERVAL.sub(r"\1 <small>\2</small>", super().text(tokens, idx, *rest))


def _data_uri(folder: Path, name: str) -> str:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise UserError(f"the report shows {name!r}, which is no picture in {folder}", "write it there first")
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
