"""The whole pipeline: from WordNet to ranked hypernyms, compared and recorded.

As a script: python -m flows.pipeline [--preset tiny] [--set finetune.steps=300 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows import script, stages

STAGES = [
    "download_wordnet",  # the dictionary files, from the first source that has them
    "prepare_wordnet",  # queries, documents, qrels
    "docids",  # names, tokenizer and trie
    "finetune",  # one ranker per loss
    "rank",  # beam search in the trie over the test queries
    "controls",  # neighbours' vote, popularity, random order of the true documents
    "evaluate",  # measures with intervals
    "report",  # tables and pictures
    "track",  # into MLflow
]


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner(max_workers=32))  # type: ignore[arg-type]
def pipeline(preset: str | None = None, overrides: dict | None = None, parallel: int = 2) -> State:
    """Finetune and compare autoregressive rankers of WordNet's hypernyms.

    Args:
        preset: a name under `presets` in params.yaml; none takes the sections as they stand.
        overrides: values over params.yaml and preset, e.g. {"finetune": {"steps": 300}}.
        parallel: how many stages may work at once.
    """
    return stages.run_flow(STAGES, preset, overrides or {}, parallel)


if __name__ == "__main__":
    script.run(pipeline)
