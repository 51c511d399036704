"""Stage `rank`: rank the queries of the split that the tables show with a finetuned model, and diagnose the search."""

import json
from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding import rank as library
from arrange.decoding.diagnostics import diagnose
from arrange.decoding.validation import judged_queries
from arrange.docids.catalogue import open_catalogue
from arrange.evaluation import runs
from arrange.files import replacing
from arrange.models import ranker as models
from arrange.training import examples
from settings import params
from tasks import stage


def rank(name: str) -> None:
    """models/<name>, docids, data -> runs/<data>/<name>/{run,judged}.{parquet,trec}, and diagnostics in results/<data>.

    judged: the run of each query's judged documents alone. The diagnostics are {} for the regime `in_context`.
    """
    settings = params.read()
    ranker, decoding = settings.rankers[name], settings.rank
    prompt = settings.prompt.of(ranker.regime)
    torch.set_num_threads(decoding.threads)
    catalogue = open_catalogue(Path("docids", f"{ranker.data}-{ranker.docids}"))
    dataset = tables.read(Path("data", ranker.data), splits=[decoding.split])
    about = tables.read_about(Path("data", ranker.data))
    queries = judged_queries(dataset, catalogue, prompt, ranker.seed, about)
    model = models.load(Path("models", name))
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))  # type: ignore[arg-type]  # a wrapped method
    ids = queries.query_ids, catalogue.docids["doc_id"].to_list()
    search = decoding.search()
    with stage.progress(len(queries.query_ids), "queries") as reached:
        run = library.rank(
            model, queries.examples, catalogue.trie, *ids, **search, score=prompt.score, progress=reached
        )
    judged = run  # in context the prompt shows the judged documents, and these are ranked
    if prompt.regime == "corpus":
        how = decoding.batch_size, prompt.score
        lists = library.rank_lists(model, queries.examples, *how, normaliser=decoding.normaliser)
        judged = runs.make_run(ids[0], lists, ids[1], depth=max(map(len, lists)))
    for file, table in (("run", run), ("judged", judged)):
        path = Path("runs", ranker.data, name, f"{file}.parquet")
        runs.write_run(runs.leave_out_itself(table, about.queries_are_documents), path, tag=name)

    diagnostics = {}
    if prompt.regime == "corpus" and decoding.diagnosed:
        count = min(decoding.diagnosed, len(queries.query_ids))
        prompts = [examples.prompt_of(queries.examples, query) for query in range(count)]
        tokenizer = catalogue.tokenizer
        special = {"end_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        diagnostics = diagnose(model, prompts, catalogue.trie, **search, **special)
    with replacing(Path("results", ranker.data, f"{name}.diagnostics.json")) as part:
        part.write_text(json.dumps(diagnostics, indent=1))


if __name__ == "__main__":
    stage.run(rank)
