"""The page docs/model-selection.md, its tables and its pictures: python -m docs.model_selection [--from FOLDER ...]

They are made from docs/results/selection-<split>.json. `--from` makes such a file first, from the folder in which
`make compare` worked; the split is the one in params.yaml there.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from arrange.evaluation.selection import iso_nll_pairs
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.comparison import validated
from arrange.report.figures import plot_points
from arrange.report.selection import CORRELATED, SELECTORS, correlations_rows, counts, panels, selectors_rows
from docs.tables import with_table
from flows.compare import trained
from settings import params

PAGE = Path("docs/model-selection.md")
RESULTS = Path("docs/results")
Study = tuple[pl.DataFrame, pl.DataFrame]  # candidates and checkpoints of arrange.evaluation.selection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", nargs="+", default=[], type=Path, metavar="FOLDER", dest="folders")
    for folder in parser.parse_args().folders:
        add(folder)
    found = studies()
    draw(found)
    with replacing(PAGE) as part:
        part.write_text(page(PAGE.read_text(), found))


def add(folder: Path) -> None:
    """Write the file of a finished comparison."""
    sections = params.load(folder / "params.yaml")
    data = sections["compare"]["data"]
    results, rankers = folder / "results" / data, trained(sections["compare"])
    per_query = pl.read_parquet(results / "per_query.parquet")
    candidates, checkpoints = validated(results, rankers, per_query, sections["finetune"]["arguments"])
    tables = {"candidates": candidates, "checkpoints": checkpoints.drop_nulls()}
    content = {name: table.to_dict(as_series=False) for name, table in tables.items()}
    with replacing(RESULTS / f"selection-{sections['datasets'][data]['split']}.json") as part:
        part.write_text(json.dumps(content) + "\n")


def studies() -> dict[str, Study]:
    """The committed comparisons, by split."""
    found = {}
    for path in sorted(RESULTS.glob("selection-*.json")):
        content = json.loads(path.read_text())
        candidates, checkpoints = (pl.DataFrame(content[name]) for name in ("candidates", "checkpoints"))
        found[path.stem.removeprefix("selection-")] = (candidates, checkpoints)
    return found


def draw(found: dict[str, Study]) -> None:
    """The picture of checkpoints, a panel for each split, and that of the kept ones, a row for each."""
    of_splits = [panels(*study, f"split `{split}`") for split, study in found.items()]
    plot_points([[of_all for of_all, *_ in of_splits]], RESULTS / "selection-checkpoints.png")
    plot_points([of_kept for _, *of_kept in of_splits], RESULTS / "selection-kept.png")


def page(text: str, found: dict[str, Study]) -> str:
    """The page with its tables and facts made anew; sentences outside of the marks stay."""
    correlated = [[split, *row] for split, study in found.items() for row in correlations_rows(*study)]
    selected = [[split, *row] for split, (candidates, _) in found.items() for row in selectors_rows(candidates)]
    made = {
        "facts": "\n".join(f"- `{split}`: {facts(*study)}" for split, study in found.items()),
        "correlations": markdown(["split", "", "n", *CORRELATED], correlated, left=(0, 1)),
        "selectors": markdown(["split", *SELECTORS], selected, left=(0, 1, 2, 6)),
    }
    for name, part in made.items():
        text = with_table(text, part, name, "docs/model_selection.py")
    return text


def facts(candidates: pl.DataFrame, checkpoints: pl.DataFrame) -> str:
    """A study in sentences: its size, what the lowest nll gives up within a training, pairs of equal nll."""
    pairs = iso_nll_pairs(checkpoints)
    return FACTS.format(
        rankers=candidates.height,
        losses=candidates["system"].n_unique(),
        checkpoints=checkpoints.height,
        **counts(candidates, checkpoints, pairs),
        farthest="; ".join(PAIR.format(**row) for row in pairs.head(1).rows(named=True)) or "none",
    )


FACTS = """{rankers} rankers of {losses} losses, {checkpoints} checkpoints. Losses that are no contenders: {left_out}.
  In {elsewhere} of {trainings} trainings the lowest `nll` is at another checkpoint than the highest nDCG@10; to keep
  the former would give up {given_up} nDCG@10 on average. {pairs} pairs of checkpoints of two losses have the same `nll`
  within 1%; {apart} of them are {least} or more apart in nDCG@10. The farthest: {farthest}."""
PAIR = """{system}-{seed}, step {step}, and {system_right}-{seed_right}, step {step_right}:
  `nll` {nll:.2f} and {nll_right:.2f}, nDCG@10 {quality:.3f} and {quality_right:.3f}"""


if __name__ == "__main__":
    main()
