"""A good request for every endpoint that is declared, in an institution of its own.

A new endpoint needs an entry here where its path names something that none before did, where its body
is not in `BODIES`, or where repeating it means something else than the declaration says.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ulid import ULID

from chalicelib.core.http import Endpoint
from tests.store.catalogue import Author, choice
from tests.store.conftest import Answer, System
from tests.store.test_isolation import BODIES, SINCE

ACCOUNT = {"email": "examples@example.org", "password": "correct horse", "name": "Ana Ruiz"}


@dataclass
class Scene:
    """A new institution with one owner, who has made what the paths ask for."""

    system: System
    institution_id: str
    token: str
    made: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.system.call("POST", path, body, token=self.token)
        assert answer.status in (200, 201, 202), answer.body
        return answer.body["data"]

    def first(self, path: str) -> str:
        answer = self.system.call("GET", path, token=self.token)
        found: str = answer.body["data"][0]["id"]
        return found

    def id_of(self, variable: str) -> str:
        if variable not in self.made:
            self.made[variable] = MAKERS[variable](self)
        return self.made[variable]

    def path_of(self, endpoint: Endpoint) -> str:
        """The path with ids of things that are there. `{id}` is one of those named before it."""
        parts = endpoint.path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                variable = parts[at - 1] if part == "{id}" else part[1:-1]
                parts[at] = self.id_of(OWN_PARTS.get((name_of(endpoint), variable), variable))
        return "/".join(parts)

    def request(self, endpoint: Endpoint) -> tuple[str, Any]:
        """Path and body, with all that they need made before."""
        name = name_of(endpoint)
        if name in BEFORE:
            BEFORE[name](self)
        body = OWN_BODIES[name](self) if name in OWN_BODIES else BODIES.get((endpoint.method, endpoint.path))
        assert endpoint.body is None or body is not None, f"what is a good body of {name}?"
        return self.path_of(endpoint), body

    def send(self, endpoint: Endpoint, path: str, body: Any, **headers: str) -> Answer:
        token = None if endpoint.abilities is None else self.token
        return self.system.call(endpoint.method, path, body, token=token, **headers)


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def _delivery(scene: Scene) -> str:
    ping: str = scene.post(f"/api/integrations/webhooks/{scene.id_of('webhooks')}/test")["delivery_id"]
    return ping


def _small_course(scene: Scene) -> dict[str, str]:
    """A published course of the institution's own, made once."""
    if "item_one" not in scene.made:
        author = Author(scene.system, scene.token)
        scene.made |= author.small("small")
        author.publish(scene.made["course"])
    return scene.made


def _lesson_to_read(scene: Scene) -> str:
    """A published lesson without exercises."""
    author = Author(scene.system, scene.token)
    course = author.course()
    lesson = author.lesson(course)
    author.publish(course)
    return lesson


def _another_member(scene: Scene) -> str:
    """A learner of the institution, with an account: an archive tells of it."""
    from chalicelib.core.abilities import Role
    from tests.store.exporting import new_member

    return new_member(scene.system, scene.institution_id, Role.LEARNER).id


def _asset(_: Scene) -> str:
    from chalicelib.documentation import assets

    return assets.name("style.css")


MAKERS: dict[str, Callable[[Scene], str]] = {
    "course": lambda scene: _small_course(scene)["course"],
    "lesson": lambda scene: _small_course(scene)["lesson"],
    "training": lambda scene: _small_course(scene)["training"],
    "item": lambda scene: _small_course(scene)["item_one"],
    "slug": lambda _: "german-a1",
    "webhooks": lambda scene: str(
        scene.post(
            "/api/integrations/webhooks", {"url": "http://127.0.0.1:9999/", "events": ["lesson.completed"]}
        )["id"]
    ),
    "delivery": _delivery,
    "recovery": lambda scene: str(
        scene.post(f"/api/integrations/webhooks/{scene.id_of('webhooks')}/recover", {"since": SINCE})["id"]
    ),
    "exports": lambda scene: str(scene.post("/api/integrations/exports", {"type": "learner_progress"})["id"]),
    "token": lambda scene: str(
        scene.post("/api/integrations/tokens", {"name": "x", "abilities": ["progress:read"]})["id"]
    ),
    "lesson to read": _lesson_to_read,
    "learner": _another_member,
    "data-requests": lambda scene: str(
        scene.post(f"/api/integrations/learners/{scene.id_of('learner')}/data-exports")["id"]
    ),
    "page": lambda _: "errors",
    "asset": _asset,
}
OWN_PARTS = {("POST /api/lessons/{lesson}/complete", "lesson"): "lesson to read"}
"""Where a path asks for another thing than others do."""

OWN_BODIES: dict[str, Callable[[Scene], Any]] = {
    "POST /api/courses": lambda _: {
        "slug": f"c-{secrets.token_hex(4)}", "title": "x", "description": "x", "language": "de",
        "taught_in": "en", "cefr_level": "A1",
    },
    "POST /api/lessons": lambda scene: {
        "course_id": scene.id_of("course"), "slug": f"l-{secrets.token_hex(4)}", "title": "x", "intro": "x",
        "can_do": "x",
    },
    "POST /api/trainings": lambda scene: {
        "lesson_id": scene.id_of("lesson"), "slug": f"t-{secrets.token_hex(4)}", "title": "x",
    },
    "POST /api/trainingItems": lambda scene: {
        "training_id": scene.id_of("training"), "slug": f"i-{secrets.token_hex(4)}", **choice(),
    },
    "POST /api/progress/import": lambda scene: {
        "rows": [{
            "attempt_id": f"att_{ULID()}", "learner_id": scene.id_of("learner"),
            "item_id": scene.id_of("item"), "answer": "a", "duration_ms": 1,
            "occurred_at": "2025-05-01T10:00:00Z",
        }],
    },
    "POST /api/auth/sign-up": lambda _: {**ACCOUNT, "email": f"{secrets.token_hex(6)}@example.org"},
    "POST /api/auth/sign-in": lambda scene: {
        "email": ACCOUNT["email"],
        "password": ACCOUNT["password"],
        "institution_id": scene.institution_id,
    },
}  # fmt: skip


def _make_the_export(scene: Scene) -> None:
    from chalicelib.exports.worker import make_export

    place = f'{{"institution_id":"{scene.institution_id}","export_id":"{scene.id_of("exports")}"}}'
    scene.system.work(make_export, [{"Body": place}])


def _make_the_archive(scene: Scene) -> None:
    from chalicelib.personal_data.worker import answer_data_request

    scene.id_of("data-requests")
    scene.system.work(answer_data_request, scene.system.messages("data-requests"))


def _change_the_secret(scene: Scene) -> None:
    scene.post(f"/api/integrations/webhooks/{scene.id_of('webhooks')}/rotate-secret", {})


def _switch_off(scene: Scene) -> None:
    scene.post(f"/api/integrations/webhooks/{scene.id_of('webhooks')}/disable")


def _change_something(scene: Scene) -> None:
    author = Author(scene.system, scene.token)
    author.data("PUT", f"trainingItems/{scene.id_of('item')}", choice("Other words"))


BEFORE: dict[str, Callable[[Scene], None]] = {
    "POST /api/integrations/webhooks/{id}/finish-rotation": _change_the_secret,
    "POST /api/integrations/webhooks/{id}/enable": _switch_off,
    "POST /api/courses/{course}/publish": _change_something,
    "GET /api/integrations/exports/{id}/download": _make_the_export,
    "GET /api/integrations/exports/{id}/manifest": _make_the_export,
    "DELETE /api/integrations/exports/{id}": _make_the_export,
    "GET /api/integrations/data-requests/{id}/download": _make_the_archive,
}


@cache
def _user_id() -> str:
    """The owner of every scene: passwords take long to hash."""
    from chalicelib.auth import service
    from chalicelib.core import clock
    from chalicelib.core.store import Transaction

    transaction = Transaction()
    user, _ = service.sign_up(transaction, **ACCOUNT, now=clock.now())
    transaction.commit()
    return user.id


def scene(system: System) -> Scene:
    from chalicelib.auth import service as auth
    from chalicelib.core.abilities import Role
    from chalicelib.core.store import Transaction
    from chalicelib.institutions import service as institutions

    transaction = Transaction()
    institution_id = institutions.create(transaction, "Example", "pro", system.now)
    member = institutions.add_member(
        transaction,
        institution_id,
        _user_id(),
        Role.OWNER,
        institutions.PLAN_LIMITS["pro"],
        system.now,
    )
    transaction.commit()
    transaction = Transaction()
    issued = auth.issue(transaction, member, name="x", granted=["*"], kind="session", now=system.now)
    transaction.commit()
    return Scene(system, institution_id, issued.token)
