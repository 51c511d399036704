"""Exported rankers on a hub: pushed, fetched, read by name, with and without a connection."""

import json
import os
import subprocess
import sys

import hub_server
import pytest
import small_export
import yaml
from small_export import QUERIES

from arrange.errors import UserError
from arrange.serving import exported, rank
from arrange.serving.hub import from_pretrained, main, opened, push_to_hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_server.running() as hub:
        hub_server.use(hub, monkeypatch, tmp_path / "cache")
        yield hub


def refusal(function, *words):
    with pytest.raises(UserError) as error:
        function(*words)
    assert str(error.value).count("\n") == 1
    return str(error.value)


def front(page: bytes | str) -> dict:
    text = page.decode() if isinstance(page, bytes) else page
    return yaml.safe_load(text.split("---\n")[1])


def test_what_was_pushed_ranks_as_the_folder_does(hub, folder):
    address = push_to_hub(folder, "me/animals")
    files = hub.files("models/me/animals")
    assert address.endswith(hub.sha("models/me/animals", "main"))
    parts = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == {*parts, ".gitattributes"}
    assert all(files[name] == path.read_bytes() for name, path in parts.items())
    assert from_pretrained("me/animals").rank(QUERIES, k=5) == exported.load(folder).rank(QUERIES, k=5)
    assert from_pretrained(str(folder)).card == exported.read_card(folder)


def test_the_page_tells_the_hub_task_measures_and_licence(hub, folder, capsys):
    main([str(folder), "me/animals", "--private", "--licence", "cc-by-4.0"])
    assert capsys.readouterr().out == f"{hub.url}/models/me/animals/commit/{hub.sha('models/me/animals', 'main')}\n"
    assert hub.private == {"models/me/animals": True}
    page = hub.files("models/me/animals")["README.md"]
    found = front(page)
    assert (found["pipeline_tag"], found["library_name"], found["license"]) == ("text-ranking", "arrange", "cc-by-4.0")
    (model,) = found["model-index"]
    assert model["name"] == "animals-item"
    (result,) = model["results"]
    assert result["task"] == {"type": "text-ranking"}
    assert result["dataset"] == {"name": "animals", "type": "animals", "split": "validation"}
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("nDCG@10", 0.21), ("hit@1", 0.5)]
    assert b"- data/queries: `0`" in page
    assert "license" not in front((folder / "README.md").read_text())  # the export itself stays as it was


def test_a_second_push_replaces_the_first_and_nothing_else_is_pushed(hub, folder, tmp_path):
    push_to_hub(folder, "me/animals")
    hub.add("models/me/animals", hub.files("models/me/animals") | {"model/pytorch_model.bin": b"old"})
    other = small_export.write(tmp_path / "other", seed=1)
    (other / "secrets.env").write_text("TOKEN=1")
    push_to_hub(other, "me/animals")
    files = hub.files("models/me/animals")
    assert not files.keys() & {"model/pytorch_model.bin", "secrets.env"}
    assert files["model/model.safetensors"] == (other / "model/model.safetensors").read_bytes()


def test_an_older_revision_is_still_there_by_its_commit(hub, folder, tmp_path):
    push_to_hub(folder, "me/animals")
    first = hub.sha("models/me/animals", "main")
    push_to_hub(small_export.write(tmp_path / "other", seed=1), "me/animals")
    expected = exported.load(folder).rank(QUERIES)
    assert from_pretrained("me/animals", first).rank(QUERIES) == expected
    assert opened(f"hf://me/animals@{first}").rank(QUERIES) == expected
    assert opened("hf://me/animals").rank(QUERIES) != expected


def test_pickles_are_not_fetched(hub, folder):
    hub.add_folder("models/me/animals", folder)
    hub.add("models/me/animals", hub.files("models/me/animals") | {"model/pytorch_model.bin": b"pickle"})
    from_pretrained("me/animals")
    assert not [path for _, path in hub.asked if path.endswith(".bin")]


def test_a_damaged_export_is_not_pushed(hub, folder, tmp_path):
    copy = small_export.write(tmp_path / "copy")
    (copy / "trie.safetensors").unlink()
    assert "cannot be read as a trie" in refusal(push_to_hub, copy, "me/animals")
    assert hub.asked == []


def test_what_the_hub_refuses_is_two_lines_without_the_token(hub, folder, monkeypatch):
    assert refusal(push_to_hub, folder, "others/animals").startswith("'others/animals' on the hub: it isn't there")
    assert "ranker 'me/nothing' of the hub: it isn't there" in refusal(from_pretrained, "me/nothing")
    assert "Repo id must" in refusal(from_pretrained, "a/b/c")
    push_to_hub(folder, "me/animals")
    assert "it has no such revision" in refusal(from_pretrained, "me/animals", "v9")
    hub.add("models/me/other", {"README.md": b"a model of another kind"})
    assert "is no exported ranker: it has no export.json" in refusal(from_pretrained, "me/other")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    said = refusal(push_to_hub, folder, "me/animals")
    assert "(status 401)\ncheck its name; `hf auth login` or HF_TOKEN says who you are" in said
    assert "hf_wrong" not in said


def test_the_command_asks_the_hub_only_where_it_is_told_to(hub, folder, capsys):
    push_to_hub(folder, "me/animals")
    hub.asked.clear()
    with pytest.raises(SystemExit, match="me/animals is no exported ranker"):
        rank.main(["me/animals", "a dog"])
    assert hub.asked == []
    rank.main(["hf://me/animals", "a dog", "-k", "2", "--json"])
    assert [one["doc_id"] for one in json.loads(capsys.readouterr().out)] == [
        one.doc_id for one in exported.load(folder).rank(["a dog"], 2)[0]
    ]


def test_offline_what_was_fetched_is_read_and_what_was_not_is_told(folder, tmp_path):
    """In processes of their own, which read the hub's variables as they start."""
    with hub_server.running() as hub:
        hub.add_folder("models/me/animals", folder)
        env = os.environ | hub_server.environment(hub, tmp_path / "cache")
        online = ranked("hf://me/animals", env)
        asked = len(hub.asked)
        offline = ranked("hf://me/animals", env | {"HF_HUB_OFFLINE": "1"})
        uncached = ranked("hf://me/others", env | {"HF_HUB_OFFLINE": "1"})
        assert len(hub.asked) == asked > 0
    assert online.returncode == 0, online.stderr
    assert (offline.stdout, offline.returncode) == (online.stdout, 0)
    assert uncached.returncode == 1
    assert uncached.stderr == (
        "ranker 'me/others' of the hub: it is not in the local cache, and HF_HUB_OFFLINE=1 forbids to ask\n"
        "unset HF_HUB_OFFLINE\n"
    )


def ranked(place, env):
    words = [sys.executable, "-m", "arrange.serving.rank", place, "a dog", "--json"]
    return subprocess.run(words, env=env, capture_output=True, text=True)
