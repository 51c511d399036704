"""Stage `report`: what came out, as one Markdown page with pictures."""

import json
from pathlib import Path

import polars as pl

from arrange.files import replacing
from arrange.ranking import report as library
from arrange.ranking.measures import MEASURES
from tasks import params, stage
from tasks.settings import Settings


def report() -> None:
    """results/, docids/ -> reports/report.md and its pictures."""
    settings = params.read()
    with replacing(Path("reports")) as part:
        part.mkdir()
        sections = [section(data, settings, part) for data in settings.matrix.data]
        (part / "report.md").write_text("# Autoregressive ranking\n\n" + "\n\n".join(sections) + "\n")


def section(data: str, settings: Settings, folder: Path) -> str:
    """The part of the page on one data set; its pictures go to `folder`."""
    metrics = json.loads(Path("results", data, "metrics.json").read_text())
    statistics = json.loads(Path("docids", data, "statistics.json").read_text())
    histories = {loss: pl.read_csv(Path("results", data, f"{loss}.history.csv")) for loss in settings.matrix.loss}
    library.plot_measure(metrics, "nDCG@10", folder / f"{data}-ndcg.png")
    library.plot_curves(histories, folder / f"{data}-curves.png")
    library.plot_branching(statistics["branching_by_depth"], folder / f"{data}-trie.png")
    queries = metrics[settings.matrix.loss[0]]["nDCG@10"]["queries"]
    return f"""## {data}

{describe(settings)} {queries} test queries; gains 1/rank; mean and 95% interval (bootstrap over nearest
hypernyms); one training seed, so the interval doesn't cover the luck of training.

{library.markdown_table(metrics, MEASURES)}

`random` is a random order of the true documents, `neighbours` a vote of the {settings.controls.neighbours} nearest
training queries: a ranker that doesn't beat both has not yet shown that it ranks.

![nDCG@10]({data}-ndcg.png)
![learning curves]({data}-curves.png)

The trie: {statistics["documents"]} docIDs, {statistics["nodes"]} nodes, {statistics["mean_depth"]:.2f} tokens a docID.

![branching by depth]({data}-trie.png)"""


def describe(settings: Settings) -> str:
    """Which part of WordNet, in which form: what must stand beside each number."""
    part = settings.prepare_wordnet
    return f"WordNet 3.0 nouns below `{part.root}`, query text `{part.text}`, split by `{part.split}`."


if __name__ == "__main__":
    stage.run(report)
