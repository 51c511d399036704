import socket

import pytest
from activations.small import llm

from arrange.activations.mutators.endpoint import ANSWER_BYTES, Answer, ask, ask_all, bound, verify
from arrange.errors import UserError

KEY = "sk-very-secret-0123456789"
PROMPT = "Write a fünction."  # 18 bytes
MOST = (18, 2000)  # what is charged where nobody counted: a token per byte, and all that the answer may have


def failed(tokens: tuple[int, int], error: str) -> Answer:
    return Answer("", *tokens, error)


def test_the_request_is_a_chat_completion_with_the_key_in_its_header_alone(chat, monkeypatch):
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    chat.say("x", 7, 3)
    settings = chat.settings(key_variable="SOME_KEY", temperature=0.5, max_tokens=99, request={"top_p": 0.9})
    assert ask(settings, PROMPT) == Answer("x", 7, 3)
    [(path, headers, body)] = chat.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "small",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0.5,
        "max_tokens": 99,
        "top_p": 0.9,
    }
    assert KEY not in repr(settings)


def test_null_takes_a_field_out_of_the_request(chat):
    chat.say("x")
    ask(chat.settings(request={"max_tokens": None, "temperature": None, "max_completion_tokens": 5}), PROMPT)
    assert set(chat.requests[0][2]) == {"model", "messages", "max_completion_tokens"}


def test_without_a_key_none_is_sent_not_even_that_of_a_netrc(chat, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    chat.say("x")
    ask(chat.settings(), PROMPT)
    assert "Authorization" not in chat.requests[0][1]


USAGES = ["null", "[]", "17", "{}", '{"prompt_tokens": -1, "completion_tokens": true}', f'{{"prompt_tokens": {2**70}}}']


@pytest.mark.parametrize("usage", USAGES)
def test_what_the_server_does_not_count_is_counted_as_the_most_it_can_be(chat, usage):
    chat.raw(f'{{"choices": [{{"message": {{"content": "x"}}}}], "usage": {usage}}}'.encode())
    assert ask(chat.settings(), PROMPT) == Answer("x", *MOST)


def test_a_million_tokens_cost_their_price():
    settings = llm(price_in=2.0, price_out=8.0)
    assert settings.cost(1_000_000, 0) == 2.0
    assert settings.cost(0, 1_000_000) == 8.0
    assert settings.cost(1000, 500) == 0.006
    assert bound(settings, PROMPT) == Answer("", *MOST)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refused_attempt_is_repeated(chat, status):
    chat.raw(b"not now", status, Retry_After="0")
    chat.say("x", 7, 3)
    assert ask(chat.settings(retries=1), PROMPT) == Answer("x", 7, 3)
    assert len(chat.requests) == 2
    assert chat.requests[0][2] == chat.requests[1][2]


def test_refusals_end_after_so_many_retries_and_cost_nothing(chat):
    for _ in range(3):
        chat.raw(b"not now", 503)
    assert ask(chat.settings(retries=1), PROMPT) == failed((0, 0), "status 503")
    assert len(chat.requests) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_what_will_not_change_is_not_asked_again(chat, status, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    chat.raw(f"no such key: {KEY}".encode(), status, Location=chat.url)
    assert ask(chat.settings(key_variable="SOME_KEY", retries=3), PROMPT) == failed((0, 0), f"status {status}")
    assert len(chat.requests) == 1


GARBAGE = {
    "a page": b"<html>Bad gateway</html>",
    "half of it": b'{"choices": [{"message": {"content": "def act',
    "nothing": b"",
    "no utf-8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "no choice": b'{"choices": []}',
    "no object": b"[1, 2]",
    "a number": b"17",
    "no text": b'{"choices": [{"message": {"content": ["a", "b"]}}]}',
    "too deep": b"[" * 200_000,
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_an_error_and_charged(chat, body):
    chat.raw(body)
    assert ask(chat.settings(), PROMPT) == failed(MOST, "not a chat completion")


def test_a_refusal_without_text_costs_what_the_server_says(chat):
    chat.say(None, 7, 3)
    assert ask(chat.settings(), PROMPT) == failed((7, 3), "not a chat completion")


def test_half_of_a_character_becomes_a_question_mark(chat):
    chat.raw(rb'{"choices": [{"message": {"content": "a\ud800b"}}]}')
    assert ask(chat.settings(), PROMPT).text == "a?b"


def test_a_key_that_the_server_repeats_is_blotted_out(chat, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    chat.say(f"your key is {KEY}", 7, 3)
    chat.raw(chat.completion(f"your key is {KEY}", 7, 3).replace(b"sk-", rb"\u0073k\u002d"))
    settings = chat.settings(key_variable="SOME_KEY")
    assert [ask(settings, PROMPT) for _ in range(2)] == [Answer("your key is ***", 7, 3)] * 2


def test_a_connection_that_is_closed_without_a_word_is_charged_and_not_repeated(chat):
    chat.replies += [lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)] * 2
    assert ask(chat.settings(retries=1), PROMPT) == failed(MOST, "ConnectionError")
    assert len(chat.requests) == 1


def test_a_body_that_is_cut_off_is_charged(chat):
    chat.raw(b'{"choices": [{"message"', Content_Length="1000")
    assert ask(chat.settings(), PROMPT) == failed(MOST, "ProtocolError")


def test_a_server_that_is_not_there_costs_nothing():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        settings = llm(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        assert ask(settings, PROMPT) == failed((0, 0), "ConnectionError")


def test_an_answer_of_ten_megabytes_is_not_read_to_its_end(chat):
    chat.raw(b" " * (10 * ANSWER_BYTES))
    assert ask(chat.settings(), PROMPT) == failed(MOST, "TooLongError")


HEADERS = b"HTTP/1.1 200 OK\r\n"
DRIPS = {  # what comes first, what comes for ever after, and the error's name
    "a status line": (b"HTTP/1.1 200 ", b"O", "ReadTimeout"),
    "a header": (HEADERS + b"X: ", b"x", "ReadTimeout"),
    "a body": (HEADERS + b"Content-Length: 1000000\r\n\r\n", b" ", "ReadTimeoutError"),
    "a body without a length": (HEADERS + b"Connection: close\r\n\r\n", b" ", "ReadTimeoutError"),
    "a chunk's length": (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"0", "ReadTimeoutError"),
    "chunks": (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", "ReadTimeoutError"),
}


@pytest.mark.parametrize(("first", "then", "error"), DRIPS.values(), ids=DRIPS)
def test_what_trickles_ends_at_the_deadline(chat, first, then, error):
    def trickle(handler):
        handler.wfile.write(first)
        while not chat.closing.wait(0.01):
            handler.wfile.write(then)

    chat.replies += [trickle] * 2
    assert ask(chat.settings(seconds=1.0, retries=1), PROMPT) == failed(MOST, error)
    assert len(chat.requests) == 1


def test_a_silent_server_is_charged_and_not_asked_again(chat):
    chat.replies += [lambda handler: chat.closing.wait(10)] * 2
    assert ask(chat.settings(seconds=1.0, retries=1), PROMPT) == failed(MOST, "ReadTimeout")
    assert len(chat.requests) == 1


@pytest.mark.parametrize("found", ["", "two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_a_user_error_that_does_not_show_it(found, monkeypatch):
    monkeypatch.setenv("SOME_KEY", found)
    with pytest.raises(UserError, match=r"^the environment variable SOME_KEY holds no key\nexport SOME_KEY=") as error:
        verify(llm(key_variable="SOME_KEY"))
    assert not found or found not in str(error.value)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http://"])
def test_a_url_that_is_none_is_a_user_error(url):
    with pytest.raises(UserError, match="no web address"):
        verify(llm(url))


def test_an_error_of_our_own_ends_all_questions(chat):
    with pytest.raises(UserError, match="NO_SUCH_KEY holds no key"):
        list(ask_all(chat.settings(key_variable="NO_SUCH_KEY"), [PROMPT] * 20))
    assert not chat.requests
