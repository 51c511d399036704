"""The seconds that a run took, as a section of its finished page.

The page itself has no seconds, because they differ from run to run and DVC's outputs must not.
"""

from collections.abc import Mapping

from markupsafe import Markup

PLACE = "<!-- cost -->"  # in templates/page.html
SECTION = Markup(
    '<section><h2 id="cost">Cost</h2>\n<p>Seconds of each stage that ran.</p>\n<table class="cost">\n'
    '<thead><tr><th scope="col">stage</th><th scope="col">seconds</th></tr></thead>\n<tbody>\n{}</tbody>\n'
    '<tfoot><tr><th scope="row">all</th><td>{:,.1f}</td></tr></tfoot>\n</table></section>'
)
ROW = Markup('<tr><th scope="row">{}</th><td>{:,.1f}</td></tr>\n')


def with_cost(page: str, seconds: Mapping[str, float]) -> str:
    """The page of `arrange.report.page.render` with a table of the seconds of each stage, in the order given.

    Raises ValueError where the page has no place for the table, or has it already.
    """
    before, place, after = page.partition(PLACE)
    if not place:
        raise ValueError("the page has no place for the cost")
    rows = Markup().join(ROW.format(stage, value) for stage, value in seconds.items())
    return f"{before}{SECTION.format(rows, sum(seconds.values()))}{after}"
