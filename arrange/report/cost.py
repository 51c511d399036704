"""What a run cost, put into its finished page: seconds differ from run to run, and what DVC keeps must not."""

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
    """The page of `arrange.report.page.render` with a table of the seconds that each stage took, in their order.

    Raises ValueError where the page has no place for it, or has it already.
    """
    before, place, after = page.partition(PLACE)
    if not place:
        raise ValueError("the page has no place for the cost")
    rows = Markup().join(ROW.format(stage, value) for stage, value in seconds.items())
    return f"{before}{SECTION.format(rows, sum(seconds.values()))}{after}"
