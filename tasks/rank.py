"""Stage `rank`: rank the queries of the split that the tables show with a finetuned model, and diagnose the search."""

import json
from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding.diagnostics import diagnose
from arrange.decoding.validation import judged_queries, rank_judged, rank_queries
from arrange.docids.catalogue import open_catalogue
from arrange.evaluation import runs
from arrange.files import replacing
from arrange.models import ranker as models
from arrange.training import examples
from settings import params
from tasks import stage

MOST = 1000  # validation queries that are ranked, for fusions to learn from


def rank(name: str) -> None:
    """models/<name>, docids, data -> runs/<data>/<name>/{run,judged}.{parquet,trec}, and diagnostics in results/<data>.

    judged: the run of each query's judged documents alone. validation.parquet, beside them: the run of the validation
    queries, from which fusions learn. The diagnostics are {} for the regime `in_context`.
    """
    settings = params.read()
    ranker, decoding = settings.rankers[name], settings.rank
    folder = Path("runs", ranker.data, name)
    prompt = settings.prompt.of(ranker.regime)
    torch.set_num_threads(decoding.threads)
    catalogue = open_catalogue(Path("docids", f"{ranker.data}-{ranker.docids}"))
    dataset = tables.read(Path("data", ranker.data), splits=[decoding.split])
    about = tables.read_about(Path("data", ranker.data))
    queries = judged_queries(dataset, catalogue, prompt, ranker.seed, about)
    model = models.load_for_ranking(Path("models", name))
    with stage.progress(len(queries.query_ids), "queries") as reached:
        run = rank_queries(model, queries, catalogue, decoding, prompt.score, reached)
    judged, diagnostics = run, {}  # in context the prompt shows the judged documents, and these are ranked
    if prompt.regime == "corpus":
        judged = rank_judged(model, queries, catalogue, decoding, prompt.score)
        if count := min(decoding.diagnosed, len(queries.query_ids)):
            prompts = [examples.prompt_of(queries.examples, query) for query in range(count)]
            end, pad = catalogue.tokenizer.eos_token_id, catalogue.tokenizer.pad_token_id
            how = {**decoding.search(), "end_token_id": end, "pad_token_id": pad}
            diagnostics = diagnose(model, prompts, catalogue.trie, **how)
    validation = tables.read(Path("data", ranker.data), splits=["validation"])
    chosen = judged_queries(validation, catalogue, prompt, ranker.seed, about, MOST)
    with stage.progress(len(chosen.query_ids), "validation queries") as reached:
        stage.write_validation(folder, rank_queries(model, chosen, catalogue, decoding, prompt.score, reached))
    runs.write_runs(folder, run, judged)
    with replacing(Path("results", ranker.data, f"{name}.diagnostics.json")) as part:
        part.write_text(json.dumps(diagnostics, indent=1))
