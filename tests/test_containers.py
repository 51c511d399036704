"""compose.yaml and Dockerfile, without Docker: their structure, what they name, who they run as.

tests/flows/test_containers.py runs their commands.
"""

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
import yaml

COMPOSE = yaml.safe_load(Path("compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("prefect", "mlflow", "worker")
TEXT, LIST, MAP = str, list, dict
SCHEMA = {  # of a service: the part of compose's specification that is used here
    **{"image": TEXT, "build": TEXT, "user": TEXT, "restart": TEXT, "init": bool, "command": LIST, "environment": MAP},
    **{"ports": LIST, "volumes": LIST, "depends_on": MAP, "healthcheck": MAP, "configs": LIST, "cap_drop": LIST},
    **{"security_opt": LIST, "shm_size": TEXT, "stop_grace_period": TEXT},
}
HEALTH = {"test": LIST, "interval": TEXT, "timeout": TEXT, "retries": int, "start_period": TEXT}
INSTRUCTIONS = re.findall(
    r"^([A-Z]+) +(.*)$", Path("Dockerfile").read_text().replace("\\\n", " "), re.MULTILINE
)  # a continued line is one


def of(instruction):
    return [words for name, words in INSTRUCTIONS if name == instruction]


def test_the_file_has_what_compose_knows_and_nothing_else():
    assert COMPOSE.keys() == {"name", "x-ours", "services", "configs", "volumes"}
    assert SERVICES.keys() == {"postgres", *OURS}
    for schema, found in [(SCHEMA, each) for each in SERVICES.values()] + [
        (HEALTH, each["healthcheck"]) for each in SERVICES.values()
    ]:
        assert {key: type(value) for key, value in found.items()} == {key: schema[key] for key in found}
    for each in SERVICES.values():
        assert all(isinstance(word, str) for word in [*each.get("command", []), *each["environment"].values()])
        assert each["healthcheck"]["test"][0] == "CMD"


def test_what_is_named_is_declared():
    named = {volume.partition(":")[0] for each in SERVICES.values() for volume in each.get("volumes", [])}
    assert named == {*COMPOSE["volumes"], "."}
    assert {each["source"] for each in SERVICES["postgres"]["configs"]} == COMPOSE["configs"].keys()
    for name, each in SERVICES.items():
        assert each.get("depends_on", {}).keys() <= SERVICES.keys() - {name}
        assert all(on == {"condition": "service_healthy"} for on in each.get("depends_on", {}).values())
        hosts = re.findall(r"(?:@|http://)([a-z]+)[:/]", " ".join(each["environment"].values()))
        assert {*hosts} - {"localhost", name} == each.get("depends_on", {}).keys()


def test_variables_have_a_value_or_say_what_to_write():
    text = Path("compose.yaml").read_text()
    stated = re.findall(r"\$\{(\w+)(?::[?-][^}]+)\}", text)
    assert {*re.findall(r"\$\{(\w+)", text)} == {*stated} == {"POSTGRES_PASSWORD", "OWNER"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_answers_on_this_machine_alone(name):
    each = SERVICES[name]
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in each.get("ports", []))
    assert each.get("user", of("USER")[-1]) not in ("root", "0", "0:0")
    assert not any("docker.sock" in volume for volume in each.get("volumes", []))


def test_images_are_of_a_version():
    (base,) = of("FROM")
    allowed = tomllib.loads(Path("pyproject.toml").read_text())["project"]["requires-python"]
    first, behind = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", allowed).groups())
    assert first <= int(re.fullmatch(r"python:3\.(\d+)-slim-bookworm", base)[1]) < behind
    assert re.fullmatch(r"postgres:\d+-bookworm", SERVICES["postgres"]["image"])
    assert all(SERVICES[name]["image"] == "arrange" for name in OURS)


def test_the_image_is_made_of_the_lock_by_the_makefile_and_not_as_root():
    names = [name for name, _ in INSTRUCTIONS]
    copied = [word for words in of("COPY") for word in words.split() if not word.startswith("--")][:-1]
    assert copied == ["Makefile", "requirements.lock"]
    lines = Path(".dockerignore").read_text().splitlines()
    assert [line[1:] for line in lines if line.startswith("!")] == copied
    assert all(any(fnmatch.fnmatch(file, line) for line in lines if line[:1] not in "#!") for file in ("params.yaml",))
    assert of("RUN")[-1] == "make .venv/ready"
    assert re.search(r"^\.venv/ready: requirements\.lock Makefile$", Path("Makefile").read_text(), re.MULTILINE)
    assert names.index("USER") < names.index("COPY")
    assert of("USER") == ["arrange"]
    made = set(re.findall(r"(/\S+)", re.search(r"mkdir --parents (.*?) &&", of("RUN")[1])[1]))
    assert {volume.split(":")[1] for name in OURS for volume in SERVICES[name].get("volumes", [])} <= made
    assert {*of("WORKDIR")} <= made


def test_the_environment_is_the_makefiles():
    exported = dict(re.findall(r"^export (?!PATH)(\w+) := (\w+)", Path("Makefile").read_text(), re.MULTILINE))
    assert len(exported) == 3
    assert exported.items() <= dict(re.findall(r"(\w+)=(\S+)", of("ENV")[0])).items()
