import base64
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from arrange.errors import UserError
from arrange.report.page import render

TABLE = """| | nDCG | loss |
|---|---|:---|
| item | 0.500 (0.400-0.625) ±0.013 | alpha 1 |
| ntp | +0.100 (+0.050 to +0.150), p < 0.001 | - |"""


class Tags(HTMLParser):
    """The tags of a page, and its text outside of <style>."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text += "" if "style" in self.open else data


def body(page):
    return page.partition("<main>")[2].partition("</main>")[0]


def test_a_picture_is_part_of_the_page_byte_for_byte(tmp_path):
    (tmp_path / "a.png").write_bytes(bytes(range(256)))
    page = render("", ["![a & <b>](a.png)"], tmp_path)
    ((_, image),) = [found for found in Tags(page).tags if found[0] == "img"]
    kind, _, data = image["src"].partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/png;base64", bytes(range(256)))
    assert image["alt"] == "a & <b>"


@pytest.mark.parametrize("name", ["missing.png", "../secret.png", "https://example.org/a.png", "/etc/hostname", "."])
def test_no_picture_comes_from_elsewhere(name, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"1")
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="no picture in"):
        render("", [f"![]({name})"], tmp_path / "in")


def test_tables_name_rows_and_columns_and_set_intervals_apart(tmp_path):
    page = body(render("", [TABLE], tmp_path))
    assert '<th scope="row">item</th>\n<td>0.500 <small>(0.400-0.625) ±0.013</small></td>' in page
    assert "<td>+0.100 <small>(+0.050 to +0.150), p &lt; 0.001</small></td>" in page
    assert '<td style="text-align:left">alpha 1</td>' in page
    assert page.count("<th>") + page.count("<th ") == 3 + 2


def test_numbers_in_brackets_that_follow_no_mean_stay(tmp_path):
    assert "<small>" not in render("", ["| 1-2 (6) | n 0.5 (0.4-0.6) |\n|---|---|\n| 3 (4) | 5 (0.1) |"], tmp_path)


def test_headings_are_the_contents_each_below_its_own(tmp_path):
    parts = ["## wordnet\n\n### Training\n\n### DocIDs `a-b`", Markup("<p>x</p>"), "## products\n\n### Training"]
    page = render("T", parts, tmp_path)
    ids = ["wordnet", "wordnet-training", "wordnet-docids-a-b", "products", "products-training"]
    assert re.findall(r'<h[23] id="(.*?)"', page) == ids
    assert re.findall(r'<a class="level(.)" href="#(.*?)">', page) == list(zip("23323", ids, strict=True))
    assert "DocIDs a-b</a>" in page
    assert page.count("<p>x</p>") == 1


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=60))
def test_whatever_markdown_holds_adds_no_tag_but_markdowns_own(text):
    known = {"p", "em", "strong", "code", "pre", "ul", "ol", "li", "a", "blockquote", "hr", "br", "s", "h1", "h2", "h3"}
    known |= {"h4", "h5", "h6", "table", "div", "thead", "tbody", "tr", "th", "td"}
    text = re.sub(r"!\[", "", text)  # pictures: above
    tags = [tag for tag, _ in Tags(body(render("", [f"{text}<script>{text}<img src=x onerror=y>"], "."))).tags]
    assert set(tags) <= known


def test_title_and_headings_are_text(tmp_path):
    page = render("<script>", ["## <b> & `<i>`"], tmp_path)
    tags = Tags(page)
    assert not {tag for tag, _ in tags.tags} & {"script", "b", "i"}
    assert "<title>&lt;script&gt;</title>" in page
    assert tags.text.count("<b> & <i>") == 2  # in the contents and above the section


def test_the_stages_page_has_everything_in_it(reports):
    page = (reports / "report.html").read_text()
    tags = Tags(page).tags
    assert "script" not in {tag for tag, _ in tags}
    addresses = [value for _, attrs in tags for key, value in attrs.items() if key in {"src", "href"}]
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    pictures = sorted(base64.b64decode(value.partition(",")[2]) for value in addresses if value.startswith("data:"))
    assert pictures == sorted(path.read_bytes() for path in reports.glob("*.png"))
    assert len(pictures) == 2 * 4
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert {value[1:] for value in addresses if value.startswith("#")} == set(ids)


def test_the_stages_markdown_has_the_tables_and_none_of_the_html(reports):
    text = (reports / "report.md").read_text()
    assert text.startswith("# Autoregressive ranking\n\n## Does a ranker help on `wordnet`?\n")
    assert "\n\n## This run\n" in text
    assert "| item | wordnet | text | item, alpha 1 | 1, 2 |\n" in text
    assert "| ntp | 0.500 (0.250-1.000) |" in text
    assert text.count("| prior | prior_tau_b |\n") == 1  # not where documents have labels
    assert "What `item`, `ntp`, `bm25` put first for 20 queries" in text  # random has the true set
    assert "What `item`, `copy` put first for 20 queries" in text
    assert "</" not in text.replace("</script>", "")
