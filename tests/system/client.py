"""A client of the deployed API: plain HTTP, every status an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Client:
    base_url: str
    token: str | None = None

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`path` may also be an absolute link of an answer. Headers are named with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        url = path if path.startswith(f"{self.base_url}/") else self.base_url + path
        request = Request(url, data=data, headers=sent, method=method)
        try:
            with urlopen(request, timeout=30) as response:
                return _answer(response.status, dict(response.headers), response.read())
        except HTTPError as error:
            with error:
                return _answer(error.code, dict(error.headers), error.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def pages(self, path: str, link: str = "next") -> Iterator[Answer]:
        """This page of a list, and those that its links lead to."""
        at: str | None = path
        while at is not None:
            answer = self.get(at)
            assert answer.status == 200, answer.body
            yield answer
            at = answer.body["links"][link]

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The whole list."""
        return [row for page in self.pages(path) for row in page.body["data"]]


@dataclass
class SignIns:
    """Clients of accounts, each signed in once: sign-ins are throttled, and a member holds 25 tokens."""

    anyone: Client
    made: dict[str, Client] = field(default_factory=dict)

    def __call__(self, account: dict[str, str]) -> Client:
        email = account["email"]
        if email not in self.made:
            wanted = {name: account[name] for name in ("email", "password", "institution_id")}
            signed_in = self.anyone.call("POST", "/api/auth/sign-in", wanted)
            assert signed_in.status == 200, signed_in.body
            self.made[email] = Client(self.anyone.base_url, signed_in.body["data"]["token"])
        return self.made[email]


def _answer(status: int, headers: dict[str, str], raw: bytes) -> Answer:
    return Answer(
        status, {name.lower(): value for name, value in headers.items()}, json.loads(raw or b"null")
    )
