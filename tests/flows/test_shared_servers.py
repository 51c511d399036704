"""What `make up` settles before it starts anything: who may ask."""

from flows import up


def test_prefect_lets_only_its_own_pages_ask():
    _, env = up.prefect_server("127.0.0.1", "http://127.0.0.1:4200")
    assert env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200,http://localhost:4200"
