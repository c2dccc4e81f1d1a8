"""A small course, written through the API."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.store.conftest import Answer, System


def choice(prompt: str = "Which one is a greeting?", correct: str = "a") -> dict[str, Any]:
    """A multiple-choice item."""
    return {
        "content": {
            "type": "multiple_choice",
            "prompt": prompt,
            "options": [{"id": "a", "text": "Guten Tag"}, {"id": "b", "text": "Tisch"}],
        },
        "key": {"type": "multiple_choice", "correct": correct},
        "cefr_level": "A1",
        "skill": "vocabulary",
    }


@dataclass
class Author:
    """An author of one institution, and what was written."""

    system: System
    token: str
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        self.system.later(0.1)  # a token has so many requests a minute
        return self.system.call(method, f"/api/{path}", body, token=self.token, **headers)

    def follow(self, link: str) -> Answer:
        """A link of an answer."""
        return self.call("GET", link.removeprefix("https://api.example.org/api/"))

    def data(self, method: str, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        answer = self.call(method, path, body, **headers)
        assert answer.status == status, answer.body
        return answer.body["data"]

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The whole list, by its links."""
        found, at = [], path
        while at:
            answer = self.follow(at)
            assert answer.status == 200, answer.body
            found += answer.body["data"]
            at = answer.body["links"]["next"]
        return found

    def course(self, slug: str = "", **fields: str) -> str:
        slug = slug or f"c-{secrets.token_hex(4)}"
        body = {"slug": slug, "title": f"Course {slug}", "description": "To try things.", "language": "de",
                "taught_in": "en", "cefr_level": "A1", **fields}  # fmt: skip
        return str(self.data("POST", "courses", body, 201)["id"])

    def lesson(self, course_id: str, slug: str = "l", **fields: object) -> str:
        body = {"course_id": course_id, "slug": slug, "title": slug, "intro": "Hello.", "can_do": "I can.",
                **fields}  # fmt: skip
        return str(self.data("POST", "lessons", body, 201)["id"])

    def training(self, lesson_id: str, slug: str = "t", **fields: object) -> str:
        body = {"lesson_id": lesson_id, "slug": slug, "title": slug, **fields}
        return str(self.data("POST", "trainings", body, 201)["id"])

    def item(self, training_id: str, slug: str = "i", **fields: object) -> str:
        body = {"training_id": training_id, "slug": slug, **choice(), **fields}
        return str(self.data("POST", "trainingItems", body, 201)["id"])

    def small(self, slug: str = "", **fields: str) -> dict[str, str]:
        """A course with one lesson, one training and two items."""
        course = self.course(slug, **fields)
        lesson = self.lesson(course)
        training = self.training(lesson)
        items = {f"item_{name}": self.item(training, name) for name in ("one", "two")}
        return {"course": course, "lesson": lesson, "training": training, **items}

    def publish(self, course_id: str) -> Any:
        return self.data("POST", f"courses/{course_id}/publish")
