import re

import pytest

from arrange.report.cost import with_cost
from arrange.report.page import render


def test_the_cost_stands_at_the_end_of_the_page_with_its_sum(tmp_path):
    page = render("T", ["## A", "text <!-- cost -->"], tmp_path)
    done = with_cost(page, {"finetune@wordnet-item": 1234.56, "<b>": 0.04})
    start, _, end = done.partition("<section>")
    section, _, rest = end.partition("</section>")
    assert start + "<!-- cost -->" + rest == page  # and nothing else has changed
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', section)
    assert rows == [("finetune@wordnet-item", "1,234.6"), ("&lt;b&gt;", "0.0"), ("all", "1,234.6")]


def test_the_cost_is_put_in_once(tmp_path):
    done = with_cost(render("T", [], tmp_path), {"a": 1.0})
    with pytest.raises(ValueError, match="no place"):
        with_cost(done, {"a": 1.0})
