"""The whole pipeline: from data to rankers finetuned with each loss, compared and recorded.

As a script: python -m flows.pipeline [--preset tiny] [--set rank.beams=50 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows import script, stages

STAGES = [
    "download_wordnet",  # the dictionary files, from the first source that has them
    "prepare_wordnet",  # queries, documents, qrels
    "download_esci",  # product search: the official files, or a generated sample
    "prepare_esci",
    "prepare_own",  # data sets of the user's
    "docids",  # names or codes, tokenizer and trie, one per catalogue
    "finetune",  # one per ranker
    "rank",  # beam search in the trie, or full scoring of the candidates
    "controls",  # neighbours' vote, popularity, random order of the true documents ...
    "baselines",  # BM25, dual and cross encoders
    "evaluate",  # measures with intervals and tests
    "report",  # tables and pictures
    "track",  # into MLflow
]


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner(max_workers=32))  # type: ignore[arg-type]
def pipeline(preset: str | None = None, overrides: dict | None = None, parallel: int = 2) -> State:
    """Finetune and compare autoregressive rankers.

    Args:
        preset: a name under `presets` in params.yaml; none takes the sections as they stand.
        overrides: values over params.yaml and preset, e.g. {"rank": {"beams": 50}}.
        parallel: how many stages may work at once.
    """
    return stages.run_flow(STAGES, preset, overrides or {}, parallel)


if __name__ == "__main__":
    script.run(pipeline)
