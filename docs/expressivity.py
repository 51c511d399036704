"""The page docs/expressivity.md, its table and its picture: python -m docs.expressivity

Trains dual encoders and generators on orders of 5 to 8 documents: under a minute of one core. Nothing is read.
"""

import json
import time
from math import factorial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from arrange.baselines.expressivity import (
    bound_of_orders,
    generated_orders,
    orders_by_distance,
    orders_by_inner_product,
    too_few_dimensions,
    trained_orders,
)
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.figures import save

PAGE = Path("docs/expressivity.md")
RESULTS = Path("docs/results")
SIZES = (5, 6, 7, 8)
STEPS, GENERATOR_STEPS, DIMENSIONS, SEED = 300, 300, 2, 1


def main() -> None:
    torch.set_num_threads(1)
    content = study()
    with replacing(RESULTS / "expressivity.json") as part:
        part.write_text(json.dumps(content, indent=1) + "\n")
    draw(content["rows"], content["generated"], RESULTS / "expressivity.png")
    with replacing(PAGE) as part:
        part.write_text(page(content))


def study() -> dict[str, Any]:
    """The shares of all k! orders: a row for each number of documents and of dimensions, and what generators give."""
    rows = [row(n, k) for k in SIZES for n in range(1, k)]
    generated = {k: generated_orders(k, SEED, DIMENSIONS, GENERATOR_STEPS) for k in SIZES}
    return {"rows": rows, "generated": generated, "cpu_seconds": round(time.process_time())}


def row(n: int, k: int) -> dict[str, float]:
    counts = {"exact": orders_by_inner_product, "distance": orders_by_distance, "bound": bound_of_orders}
    shares = {name: count(n, k) / factorial(k) for name, count in counts.items()}
    return {"k": k, "n": n, "trained": trained_orders(n, k, SEED, steps=STEPS, learning_rate=0.1)} | shares


def draw(rows: list[dict[str, float]], generated: dict[int, float], path: Path) -> None:
    """A panel for each k: shares by the number of dimensions, on a logarithmic axis."""
    figure, panels = plt.subplots(1, len(SIZES), figsize=(11, 3), sharey=True)
    for axes, k in zip(panels, SIZES, strict=True):
        of_k = [each for each in rows if each["k"] == k]
        for name, style in (("bound", "--"), ("distance", ":"), ("exact", "-"), ("trained", "o")):
            axes.plot([each["n"] for each in of_k], [each[name] for each in of_k], style, label=LABELS[name])
        axes.plot([DIMENSIONS], [generated[k]], "*", markersize=11, label=LABELS["generated"])
        axes.set(title=f"{k} documents", xlabel="dimensions", yscale="log", xticks=range(1, k))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of all orders")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=5)
    save(figure, path)


LABELS = {
    "bound": "bound of the paper, k^(2n)",
    "distance": "dual encoder by distance, exact",
    "exact": "by inner product, exact",
    "trained": "by inner product, trained",
    "generated": "generator, held-out orders",
}


def page(content: dict[str, Any]) -> str:
    """The page in Markdown."""
    rows = [
        [f"{each['k']}", f"{each['n']}", *(f"{each[name]:.4f}" for name in ("bound", "distance", "exact", "trained"))]
        for each in content["rows"]
    ]
    return PAGE_TEXT.format(
        table=markdown(["documents", "dimensions", "bound", "by distance", "by inner product", "trained"], rows),
        generated=markdown(
            ["documents", "dimensions", "held-out orders given"],
            [[f"{k}", f"{DIMENSIONS}", f"{share:.4f}"] for k, share in content["generated"].items()],
        ),
        steps=STEPS,
        dimensions=DIMENSIONS,
        least_5=too_few_dimensions(5),
        least_8=too_few_dimensions(8),
        generator_steps=GENERATOR_STEPS,
        seconds=content["cpu_seconds"],
    )


PAGE_TEXT = """# What a dual encoder can't rank

Made by `python -m docs.expressivity` ({seconds} CPU seconds); the numbers are in results/expressivity.json.

A dual encoder has a vector per document, the same for all queries. So of the k! orders of k documents only some are the
ranking of any query. How many, as shares of k!:

![share of orders by dimensions](results/expressivity.png)

- **By inner product** (or cosine) k vectors in general position in R^n have exactly
  Q(n, k) = 2 (|s(k, k-n+1)| + |s(k, k-n+3)| + ..) orders, s being Stirling's numbers of the first kind (Cover 1967).
  One dimension has 2, a line read from either end; two have k (k - 1).
- **By distance** (or inner product with a bias per document) there are N(n, k) = |s(k, k)| + .. + |s(k, k-n)| (Good and
  Tideman 1977). One dimension has 1 + k (k - 1) / 2: one order more at each midpoint of two documents.
- Both reach k! at n = k - 1 dimensions and not before. **The paper's bound** (arXiv 2601.05588) is k^(2n), above the
  counts. For all orders of 5 and of 8 documents it asks for n >= {least_5:.2f} and {least_8:.2f}, the counts for 4 and
  7.
- **Trained**: every order is a query with a free vector, documents are free too; {steps} steps of Adam with the
  Plackett-Luce loss. With eight documents 5,040 orders, drawn at random, stand for all. One
  of them given is 0.0002, above the exact share of one dimension.

{table}

A model that generates the documents one after the other has no such limit. Each step needs one document on top, and
points on a circle all have a direction in which they are: two dimensions of the output layer are enough for all orders
of any number of documents. A transformer of two layers and width 32 reads each document's place and is trained on half
of the orders ({generator_steps} steps); its output layer has {dimensions} dimensions. Of the other half it generates:

{generated}

Five documents have 60 orders to learn from, which it learns by heart.
"""


if __name__ == "__main__":
    main()
