"""Schemathesis finds nothing in the running system, and finds what is planted in the same place."""

import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from infra.demo.load import environment
from infra.local.cloud import REPOSITORY
from tests.conftest import LocalCloud
from tests.system.client import Client, SignIns

HERE = Path(__file__).parent / "fuzzing"
ID = re.compile(r'"([a-z]{3}_[0-9A-HJKMNP-TV-Z]{26})"')
KIND = re.compile(r"^\^([a-z]{3})_")


@dataclass(frozen=True)
class Fuzzing:
    """The document with ids of the running system for examples, and two institutions' owners."""

    folder: Path
    environment: dict[str, str]
    alpha: Client

    def seed(self) -> None:
        """Write the document with ids of records that alpha has now."""
        document = json.loads((REPOSITORY / "openapi.json").read_text())
        _seed(document, _ids(document, self.alpha))
        (self.folder / "openapi.json").write_text(json.dumps(document))

    def run(self, *arguments: str, base_url: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [
            str(Path(sys.executable).with_name("st")),
            "--config-file", str(HERE / "schemathesis.toml"),
            "run", str(self.folder / "openapi.json"), *arguments,
        ]  # fmt: skip
        environment = self.environment | ({"BASE_URL": base_url} if base_url else {})
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def fuzzing(local_cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Fuzzing:
    folder = tmp_path_factory.mktemp("fuzzing")
    sign_in = SignIns(Client(local_cloud.base_url))
    owners = {account["name"]: sign_in(account) for account in _accounts(local_cloud)}
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {owner.token}"}]}
        for name, owner in owners.items()
    ]
    (folder / "users.json").write_text(json.dumps({"auth": users}))
    in_use = [owner.get("/api/integrations/tokens").body["data"][0]["id"] for owner in owners.values()]
    made = Fuzzing(
        folder,
        {
            **os.environ,
            "BASE_URL": local_cloud.base_url,
            "HOOKS": str(HERE / "hooks.py"),
            "USERS": str(folder / "users.json"),
            "TOKENS_IN_USE": " ".join(in_use),
            "LEARNER": json.dumps(_learner(sign_in.anyone)),
        },
        owners["alpha"],
    )
    made.seed()
    return made


def _accounts(local_cloud: LocalCloud) -> list[dict[str, str]]:
    made = subprocess.run(
        [sys.executable, "-m", "tests.system.fuzzing.institutions"],
        cwd=REPOSITORY,
        env=environment(local_cloud.cloud),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    accounts: list[dict[str, str]] = json.loads(made.stdout)
    return accounts


def _learner(anyone: Client) -> dict[str, str]:
    account = {"email": "learner@alpha.example", "password": "correct horse battery staple"}
    signed_up = anyone.call("POST", "/api/auth/sign-up", {**account, "name": "Ana Ruiz"})
    assert signed_up.status == 201, signed_up.body
    return account


def _ids(document: dict[str, Any], owner: Client) -> dict[str, str]:
    """An id of each kind that the owner's lists show: all that can be read with the ids found so far."""
    hook = owner.call(
        "POST", "/api/integrations/webhooks", {"url": "http://127.0.0.1:9999/", "events": ["*"]}
    )
    assert hook.status == 201, hook.body
    owner.call("POST", f"/api/integrations/webhooks/{hook.body['data']['id']}/test")
    owner.call("POST", "/api/integrations/exports", {"type": "learner_progress"})
    found = _course(owner)
    waiting = [path for path, methods in document["paths"].items() if "get" in methods and "/api/" in path]
    for _ in range(3):
        for path in list(waiting):
            kinds = [_kind(one["schema"]) for one in _in_path(document["paths"][path]["get"])]
            if all(kind in found for kind in kinds):
                waiting.remove(path)
                called = path
                for kind in kinds:
                    called = re.sub(r"\{\w+\}", found[str(kind)], called, count=1)
                for name in ID.findall(json.dumps(owner.get(called).body)):
                    found.setdefault(name[:3], name)
    return found


def _course(owner: Client) -> dict[str, str]:
    """Ids of a published course of the owner's own: nobody else may change the platform's."""
    course = {
        "slug": f"small-talk-{secrets.token_hex(4)}",
        "title": "Small talk",
        "description": "Say hello in German.",
        "language": "de",
        "taught_in": "en",
        "cefr_level": "A1",
    }
    text = {"text": "Hello", "prompt": "Say it", "from_language": "en", "to_language": "de"}
    item = {
        "skill": "vocabulary",
        "cefr_level": "A1",
        "content": {"type": "translation", **text},
        "key": {"type": "translation", "accept": ["hallo"]},
    }
    found: dict[str, str] = {}
    latest = None
    for path, parent, body in (
        ("courses", None, course),
        (
            "lessons",
            "course_id",
            {"title": "Hello", "intro": "Hallo is hello.", "can_do": "I can say hello."},
        ),
        ("trainings", "lesson_id", {"title": "Greet"}),
        ("trainingItems", "training_id", item),
    ):
        named = {parent: latest} if parent else {}
        made = owner.call("POST", f"/api/{path}", {"slug": "hello", **body, **named})
        assert made.status == 201, made.body
        latest = made.body["data"]["id"]
        found[latest[:3]] = latest
    published = owner.call("POST", f"/api/courses/{found['crs']}/publish")
    assert published.status == 200, published.body
    return found


def _in_path(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in operation.get("parameters", []) if one.get("in") == "path"]


def _kind(schema: dict[str, Any]) -> str | None:
    """`whk` of a schema of webhooks' ids."""
    match = KIND.match(schema.get("pattern", ""))
    return match and match[1]


def _seed(value: Any, ids: dict[str, str]) -> None:
    """Examples of ids become those of records that are there; whatever is deleted needs to be made first."""
    if isinstance(value, list):
        for member in value:
            _seed(member, ids)
    elif isinstance(value, dict):
        if "examples" in value and _kind(value) in ids:
            value["examples"] = [ids[str(_kind(value))]]
        for name, member in value.items():
            _seed(member, {} if name == "delete" else ids)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="short"),
        pytest.param(("--max-examples", "50", "--seed", "2"), id="long", marks=pytest.mark.proof),
    ],
)
def test_schemathesis_finds_nothing(fuzzing: Fuzzing, arguments: tuple[str, ...]) -> None:
    found = fuzzing.run(*arguments)
    assert found.returncode == 0, found.stdout


# The same, through a proxy that plants a fault


class Proxy(BaseHTTPRequestHandler):
    """Hands on reads, as `asked` and `answered` change them."""

    upstream: ClassVar[str]

    def do_GET(self) -> None:
        unwanted = ("host", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unwanted}
        request = Request(self.upstream + self.path, headers=self.asked(headers), method=self.command)
        try:
            response = urlopen(request, timeout=30)
        except HTTPError as error:
            response = error
        with response:
            body = response.read()
            if response.status == 200:
                body = json.dumps(self.answered(json.loads(body))).encode()
            self.send_response(response.status)
            for name in ("Content-Type", "X-Request-Id", "WWW-Authenticate", "Allow"):
                if name in response.headers:
                    self.send_header(name, response.headers[name])
            self.end_headers()
            self.wfile.write(body)

    do_PATCH = do_GET

    def asked(self, headers: dict[str, str]) -> dict[str, str]:
        return headers

    def answered(self, body: Any) -> Any:
        return body

    def log_message(self, *_: object) -> None:
        """Not on the screen of the tests."""


class ForgetsTheRole(Proxy):
    def answered(self, body: Any) -> Any:
        del body["data"]["role"]
        return body


class TakesEveryTokenForAlphas(Proxy):
    token: ClassVar[str]

    def asked(self, headers: dict[str, str]) -> dict[str, str]:
        by_id = self.path.count("/") == 4 and "Authorization" in headers
        return headers | ({"Authorization": self.token} if by_id else {})


@pytest.fixture
def through(local_cloud: LocalCloud) -> Iterator[Callable[[type[Proxy]], str]]:
    """Starts a proxy; its base URL."""
    started: list[ThreadingHTTPServer] = []

    def start(proxy: type[Proxy]) -> str:
        proxy.upstream = local_cloud.base_url
        started.append(ThreadingHTTPServer(("127.0.0.1", 0), proxy))
        threading.Thread(target=started[-1].serve_forever).start()
        return f"http://127.0.0.1:{started[-1].server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_an_answer_without_its_field_is_found(
    fuzzing: Fuzzing, through: Callable[[type[Proxy]], str]
) -> None:
    found = fuzzing.run(
        "--phases", "coverage", "--include-operation-id", "me", base_url=through(ForgetsTheRole)
    )
    assert found.returncode == 1, found.stdout
    assert '"role" is a required property' in found.stdout
    assert "1 found 1 unique failure," in found.stdout, "through the proxy, the fault alone is found"


def test_an_answer_with_another_institutions_webhook_is_found(
    fuzzing: Fuzzing, through: Callable[[type[Proxy]], str]
) -> None:
    fuzzing.seed()  # a webhook that nobody has deleted
    TakesEveryTokenForAlphas.token = f"Bearer {fuzzing.alpha.token}"
    found = fuzzing.run(
        "--include-operation-id", "list_webhooks", "--include-operation-id", "get_webhook",
        base_url=through(TakesEveryTokenForAlphas),
    )  # fmt: skip
    assert found.returncode == 1, found.stdout
    assert "`beta` received the" in found.stdout
