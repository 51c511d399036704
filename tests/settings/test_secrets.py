"""No secret among the parameters, which are recorded; none in what is shown of an address."""

import base64
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sections import SECTIONS, changed
from servers import serving

from arrange.errors import UserError
from flows import up
from records import store
from settings import params

WORD = "Open5esame"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What these tests or the code under test set is gone after them."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.mark.parametrize(
    ("word", "where"),
    [
        (f"llm.request.api_key={WORD}", "llm.request.api_key"),
        (f"llm.request.apiKey={WORD}", "llm.request.apiKey"),
        (f"llm.request.extra.Authorization=Bearer {WORD}", "llm.request.extra.Authorization"),
        (f"llm.request.tools=[{{headers: {{x-api-key: {WORD}}}}}]", "llm.request.tools.0.headers.x-api-key"),
        (f"llm.key_variable={WORD}", "llm.key_variable"),
        (f"llm.key_variable=sk_{WORD}", "llm.key_variable"),
        (f"llm.url=https://me:{WORD}@host/v1", "llm.url"),
        (f"llm.url=https://{WORD}@host/v1", "llm.url"),
        (f"llm.url=https://host/v1?version=2&api-key={WORD}", "llm.url"),
        (f"download_wordnet.url=https://me:{WORD}@host/file", "download_wordnet.url"),
        (f"download_esci.urls=['https://host', 'https://me:{WORD}@host']", "download_esci.urls.1"),
        (f"finetune.arguments.hub_token={WORD}", "finetune.arguments.hub_token"),
        (f"rankers.wordnet-ntp.arguments.hub_token={WORD}", "rankers.wordnet-ntp.arguments.hub_token"),
        (f"base_models.scratch.shape.api_key={WORD}", "base_models.scratch.shape.api_key"),
        (f"llm.request.hf_token={WORD}", "llm.request.hf_token"),
        (f"llm.request.proxy=http://me:{WORD}@host", "llm.request.proxy is an address with a secret"),
    ],
)
def test_a_parameter_that_is_a_secret_is_refused_and_not_shown(word, where):
    overrides = params.parse_overrides([word])
    with pytest.raises(UserError) as refusal:
        params.effective(SECTIONS, None, overrides)
    what, remedy = str(refusal.value).splitlines()
    assert what.startswith(f"the overrides: {where}")
    assert "variable" in remedy or "export" in remedy
    assert WORD not in str(refusal.value)


@pytest.mark.parametrize(
    "word",
    [
        "llm.request={max_completion_tokens: 5, stop_token_ids: [1], logit_bias: {'50': 1}, key: 1, tokenizer: none}",
        "llm.key_variable=MY_KEY_2",
        "llm.url=http://localhost:8000/v1@2?version=2",
        "losses.token.beta=2",
    ],
)
def test_what_is_no_secret_is_taken(word):
    assert params.effective(SECTIONS, None, params.parse_overrides([word]))


def test_a_field_that_is_taken_away_is_no_secret():
    request = {"api_key": None, "top_p": 0.9}
    assert params.validate(changed(("llm.request", request)), "params.yaml").llm.request == request


@contextmanager
def mlflow_that_asks_for_a_password(answer):
    """A server that says `answer` (status, JSON); yields host and port, and the credentials that it was shown."""
    shown = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            kind, _, credentials = self.headers.get("Authorization", "none ").partition(" ")
            shown.append((kind, base64.b64decode(credentials).decode()))
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(json.dumps(answer[1]).encode())

        def log_message(self, *words):
            pass

    with serving(Handler) as host:
        yield host, shown


def test_a_servers_password_reaches_it_and_stands_in_no_address(monkeypatch):
    with mlflow_that_asks_for_a_password((200, {"experiments": []})) as (host, shown):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://m%65:{WORD}%2F@{host}/mlflow")
        assert store.address() == f"http://{host}/mlflow"
        assert MlflowClient(tracking_uri=store.address()).search_experiments() == []
    assert shown == [("Basic", f"me:{WORD}/")]
    with pytest.raises(MlflowException) as failure:  # nobody answers any more
        MlflowClient(tracking_uri=store.address()).search_experiments()
    assert host in str(failure.value)
    assert WORD not in str(failure.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000/", f"postgresql://me:{WORD}@db/mlflow", "sqlite:////a@b/c.db"])
def test_other_addresses_stay_as_they_are(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store.address() == uri
    assert store.os.environ["MLFLOW_TRACKING_PASSWORD"] == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql+psycopg2://me:{WORD}@{WORD}@db/mlflow", "postgresql+psycopg2://me:***@db/mlflow"),
        (f"a http://u:{WORD}@h/x, b https://v:{WORD}@i:1/y", "a http://u:***@h/x, b https://v:***@i:1/y"),
        ('{"url": "http://h:80", "to": "a@b"}', '{"url": "http://h:80", "to": "a@b"}'),
    ],
)
def test_what_is_shown_of_addresses(text, shown):
    assert store.redacted(text) == shown


def test_the_words_of_a_process_which_all_may_read_hold_no_password(monkeypatch):
    address = f"postgresql+psycopg2://me:{WORD}@db/mlflow"
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", address)
    words, env = up.mlflow_server("127.0.0.1", "http://127.0.0.1:5000")
    assert not re.search(WORD, " ".join(words))
    assert env["MLFLOW_BACKEND_STORE_URI"] == address
