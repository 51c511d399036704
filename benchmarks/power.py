"""What a transfer test can tell: the power to see a true gain, by simulation on stored measurements.

python benchmarks/power.py activations/transfer/measurements.parquet [--subject NAME] [--reference NAME] [--gain 0.05]

Problems (whole clusters, within families) are drawn with replacement from those that were measured, and so are seeds.
The log-ratios of the subject are moved to a true mean of minus the gain. Power is the share of draws with p < 0.05 in
Wilcoxon's signed-rank test over clusters. The share at gain 0 is the rate of false alarms.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon

from arrange.activations.transfer.table import FLOOR

CLUSTERS = (20, 40, 80, 160, 320)
DRAWS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", type=Path)
    parser.add_argument("--subject", default="portfolio classical")
    parser.add_argument("--reference", default="gelu")
    parser.add_argument("--gain", type=float, default=0.05)
    parser.add_argument("--group", default="held-out")
    arguments = parser.parse_args()
    table = pl.read_parquet(arguments.measurements).filter(group=arguments.group)
    ratios_CS = by_cluster(table, arguments.subject, arguments.reference)
    rng = np.random.default_rng(0)
    rows = {
        (clusters, seeds): [power(ratios_CS, gain, clusters, seeds, rng) for gain in (0.0, arguments.gain, 0.1, 0.2)]
        for clusters in CLUSTERS
        for seeds in sorted({1, 2, ratios_CS.shape[1]})
        if seeds <= ratios_CS.shape[1]
    }
    show(rows, arguments.gain, ratios_CS)
    print(json.dumps({f"{clusters}x{seeds}": row for (clusters, seeds), row in rows.items()}))


def by_cluster(table: pl.DataFrame, subject: str, reference: str) -> np.ndarray:
    """Log-ratios of errors out of distribution, clusters x seeds; problems of a cluster are averaged."""
    keys = ["family", "cluster", "problem", "seed"]
    logs = table.select("activation", *keys, log=pl.col("ood").clip(FLOOR).log())
    pairs = logs.filter(activation=subject).join(logs.filter(activation=reference), on=keys)
    ratio = (pl.col("log") - pl.col("log_right")).fill_nan(2.0).clip(-2, 2)
    means = pairs.group_by("family", "cluster", "seed").agg(ratio.mean().alias("ratio")).sort("family", "cluster")
    return means.pivot("seed", index=["family", "cluster"], values="ratio").drop("family", "cluster").to_numpy()


def power(ratios_CS: np.ndarray, gain: float, clusters: int, seeds: int, rng: np.random.Generator) -> float:
    """The share of draws in which Wilcoxon's test sees a true mean of minus `gain`."""
    moved_CS = ratios_CS - ratios_CS.mean() - gain
    seen = 0
    for _ in range(DRAWS):
        row_C = rng.integers(len(moved_CS), size=clusters)
        column_CS = rng.integers(moved_CS.shape[1], size=(clusters, seeds))
        seen += wilcoxon(moved_CS[row_C[:, None], column_CS].mean(axis=1)).pvalue < 0.05
    return seen / DRAWS


def show(rows: dict[tuple[int, int], list[float]], gain: float, ratios_CS: np.ndarray) -> None:
    between, within = ratios_CS.mean(axis=1).std(ddof=1), ratios_CS.std(axis=1).mean()
    table = Table(title=f"{len(ratios_CS)} clusters; deviation {between:.2f} between them, {within:.2f} over seeds")
    for name in ("problems", "seeds", "gain 0", f"gain {gain:g}", "gain 0.1", "gain 0.2"):
        table.add_column(name, justify="right")
    for (clusters, seeds), shares in rows.items():
        table.add_row(str(clusters), str(seeds), *(f"{share:.2f}" for share in shares))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
