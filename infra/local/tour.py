"""The main job, walked once over HTTP as an integrator would: `make tour`.

It knows of the system what `run.json` says and nothing else. A learner answers a lesson and sees what
it adds up to; the events leave as signed webhooks to a receiver in this process, which refuses one on
purpose; the delivery log shows every attempt, and an export holds the result.
"""

import hashlib
import hmac
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from infra.demo.courses import load_course
from infra.local.cloud import LocalCloudError, from_environment

COURSE = Path(__file__).parents[1] / "demo" / "courses" / "german-a1"
SLUG = "german-a1"
PATIENCE = 60.0
"""Seconds in which whatever happens in the background has to happen."""


@dataclass(frozen=True)
class Client:
    """The API as one person sees it."""

    base_url: str
    token: str | None = None

    def get(self, path: str, **query: object) -> Any:
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        return self._call("POST", path, body, headers)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def all(self, path: str, **query: object) -> list[Any]:
        """Every row of a list, by following `links.next`."""
        page = self.get(path, **query)
        rows = list(page["data"])
        while page["links"]["next"]:
            page = self._call("GET", page["links"]["next"].removeprefix(self.base_url))
            rows += page["data"]
        return rows

    def _call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Any:
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        request = Request(self.base_url + path, data=data, headers=sent, method=method)  # noqa: S310 (loopback)
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                raise LocalCloudError(
                    f"{method} {path} answered {error.code}: {error.read().decode()}"
                ) from None


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes
    answered: int

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def signed_with(self, secret: str) -> bool:
        """As the reference page's PHP does: HMAC-SHA256 of the body, keyed with the secret as shown."""
        wanted = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, self.headers["x-signature-256"])


class Receiver(ThreadingHTTPServer):
    """An integrator's endpoint. It refuses the first request that carries `refuse_once`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: queue.Queue[Received] = queue.Queue()
        self.refuse_once: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/talktiko"

    def next(self) -> Received:
        try:
            return self.received.get(timeout=PATIENCE)
        except queue.Empty:
            raise LocalCloudError(
                f"No webhook came within {PATIENCE:.0f} s; `make logs` shows why."
            ) from None


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = 200
        if self.headers["x-talktiko-event"] == self.server.refuse_once:
            status, self.server.refuse_once = 503, None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.put(Received(headers, body, status))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The tour prints what it received itself."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(text: str = "") -> None:
    print(text, flush=True)


def headline(number: int, text: str) -> None:
    say(f"\n{number}. {text}")


def sign_in(anyone: Client, account: dict[str, str]) -> Client:
    wanted = {name: account[name] for name in ("email", "password", "institution_id")}
    signed_in = anyone.post("/api/auth/sign-in", {**wanted, "device_name": "tour"})["data"]
    say(f"   {account['role']:<8} {account['email']}, token {signed_in['token'][:12]}…")
    return Client(anyone.base_url, signed_in["token"])


def right_answers() -> dict[str, Any]:
    """The first listed answer to each exercise of the demo course, by its slug."""
    return {entry.slug: entry.accepted[0].answer for _, entry in load_course(COURSE).items()}


def lesson_to_do(learner: Client, course_id: str) -> dict[str, Any]:
    """The first lesson that is not completed, or the first of all."""
    lessons = learner.all(f"/api/courses/{course_id}/lesson-progress")
    for lesson in lessons:
        if lesson["status"] != "completed":
            return dict(lesson)
    return dict(lessons[0])


def answer_lesson(learner: Client, lesson_id: str) -> tuple[int, int]:
    """Answer every exercise, the first one wrongly before. How many answers were given, for how many XP."""
    answers = right_answers()
    given = xp = 0
    for training in learner.all("/api/trainings", lesson=lesson_id):
        say(f"   {training['title']}")
        for item in learner.all("/api/trainingItems", training=training["id"]):
            tries = [answers[item["slug"]]]
            if given == 0:
                tries.insert(0, None)
            for answer in tries:
                done = learner.post(
                    f"/api/trainingItems/{item['id']}/attempts", {"answer": answer, "duration_ms": 4200}
                )["data"]
                given, xp = given + 1, xp + done["changes"]["xp"]
                _show_answer(item, answer, done)
    return given, xp


def _show_answer(item: dict[str, Any], answer: Any, done: dict[str, Any]) -> None:
    text = "I don't know" if answer is None else json.dumps(answer, ensure_ascii=False)
    attempt, changes = done["attempt"], done["changes"]
    say(
        f"     {item['type']:<23}{text[:44]:<46}{attempt['result']:<10} {attempt['score']:<5}"
        f" +{changes['xp']} XP, lesson {changes['lesson_percent']} %"
    )


def board_xp(learner: Client) -> int:
    """What the learner is on this week's leaderboard with."""
    you = learner.get("/api/gamification/leaderboard")["data"]["you"]
    return int(you["xp"]) if you else 0


def show_report(learner: Client, on_board: int) -> None:
    """What the learner's answers add up to; the leaderboard once it has so many XP."""
    stats = learner.get("/api/gamification/stats")["data"]
    unlocked = [one["title"] for one in stats["achievements"] if one["unlocked_at"]]
    days = stats["streak"]["current_days"]
    say(f"   {stats['xp']} XP, streak of {days} day(s), achievements: {', '.join(unlocked)}")
    for language in learner.get("/api/cefr/report")["data"]["languages"]:
        for skill in language["skills"]:
            if skill["answers"]:
                level = skill["level"] or skill["status"].replace("_", " ")
                say(
                    f"   {language['language']} {skill['skill']:<11} {level}, from {skill['answers']} answers"
                )
    in_a_week = datetime.now(UTC) + timedelta(days=7)
    due = [len(learner.all("/api/reviews/due", **given)) for given in ({}, {"before": in_a_week.isoformat()})]
    say(f"   {due[0]} exercises are due for review now, {due[1]} within a week")
    deadline = time.monotonic() + PATIENCE
    while board_xp(learner) < on_board:
        if time.monotonic() > deadline:
            raise LocalCloudError("The leaderboard has not taken the lesson in.")
        time.sleep(0.3)
    board = learner.get("/api/gamification/leaderboard")["data"]
    if board["you"]:
        say(f"   place {board['you']['rank']} of {board['participants']} on this week's leaderboard"
            f" with {board['you']['xp']} XP")  # fmt: skip


def await_webhooks(server: Receiver, secret: str, count: int) -> Received | None:
    """Show what arrives until `count` different events were taken. The one that was refused, if any."""
    taken: dict[str, int] = {}
    refused = None
    while len(taken) < count:
        got = server.next()
        valid = "signature verified" if got.signed_with(secret) else "SIGNATURE WRONG"
        if not got.signed_with(secret):
            raise LocalCloudError("A webhook's signature could not be verified.")
        if got.answered >= 300:
            refused = got
        else:
            taken[got.headers["webhook-id"]] = got.answered
        say(
            f"   {got.event['type']:<18} attempt {got.headers['x-talktiko-attempt']}  {valid},"
            f" answered {got.answered}"
        )
    return refused


def show_delivery_log(owner: Client, webhook_id: str, refused: Received | None) -> None:
    path = f"/api/integrations/webhooks/{webhook_id}/deliveries"
    deadline = time.monotonic() + PATIENCE
    while owner.get(path, status="pending")["data"] or owner.get(path, status="delivering")["data"]:
        if time.monotonic() > deadline:
            raise LocalCloudError("Deliveries are still not in a final state.")
        time.sleep(0.3)
    rows = owner.all(path)
    for row in rows[:5]:
        say(
            f"   {row['id']}  {row['event_type']:<18} {row['status']:<10} attempts {row['attempts_made']}"
            f"  last status {row['last_status_code']}"
        )
    if len(rows) > 5:
        say(f"   … and {len(rows) - 5} more")
    if refused is not None:
        say("   The one that was refused at first, attempt by attempt:")
        for one in owner.get(f"{path}/{refused.headers['x-talktiko-delivery']}")["data"]["attempts"]:
            took = one["duration_ms"]["total"]
            say(
                f"     attempt {one['attempt']} at {one['sent_at']}: status {one['status_code']} in {took} ms"
                f", next at {one['next_attempt_at'] or '-'}"
            )


def export(owner: Client) -> None:
    made = owner.post("/api/integrations/exports", {"type": "learner_progress"})["data"]
    say(f"   {made['id']} {made['status']}")
    deadline = time.monotonic() + PATIENCE
    path = f"/api/integrations/exports/{made['id']}"
    while (now := owner.get(path)["data"])["status"] not in ("completed", "failed"):
        if time.monotonic() > deadline:
            raise LocalCloudError("The export did not finish.")
        time.sleep(0.3)
    say(f"   {now['id']} {now['status']}, {now['rows']} rows, {now['size_bytes']} bytes")
    if now["status"] == "failed":
        raise LocalCloudError(f"The export failed: {now['error']}")
    link = owner.get(f"{path}/download", redirect="false")["data"]["url"]
    with urlopen(link, timeout=30) as answer:  # noqa: S310 (a link that the API made)
        text = answer.read().decode("utf-8-sig")
    for line in text.splitlines()[:3]:
        say(f"   {line}")


def walk(facts: dict[str, Any]) -> None:
    """Walk the main job. Raises `LocalCloudError` at the first step that does not hold."""
    anyone = Client(facts["base_url"])
    accounts = facts["accounts"]
    school = next(a for a in accounts if a["role"] == "learner")["institution_id"]
    of_school = {a["role"]: a for a in accounts if a["institution_id"] == school}

    headline(1, "A school's owner and one of its learners sign in")
    owner, learner = sign_in(anyone, of_school["owner"]), sign_in(anyone, of_school["learner"])

    with receiver() as server:
        headline(2, f"The owner subscribes {server.url} to learning events, and sends a test ping")
        body = {"url": server.url, "events": ["exercise.*", "lesson.*", "course.*", "export.*"]}
        hook = owner.post("/api/integrations/webhooks", body)["data"]
        say(f"   {hook['id']}, secret {hook['secret'][:10]}… (shown this once)")
        try:
            ping = owner.post(f"/api/integrations/webhooks/{hook['id']}/test")["data"]
            say(f"   ping: status {ping['status_code']} in {ping['duration_ms']} ms")
            server.next()
            _main_job(owner, learner, server, hook)
        finally:
            owner.delete(f"/api/integrations/webhooks/{hook['id']}")
    for one in (owner, learner):
        one.post("/api/auth/sign-out")
    say("\nThat was the main job. make tour walks it again.")


def _main_job(owner: Client, learner: Client, server: Receiver, hook: dict[str, Any]) -> None:
    course = next(one for one in learner.all("/api/courses") if one["slug"] == SLUG)
    lesson = lesson_to_do(learner, course["id"])
    fresh = lesson["status"] != "completed"
    headline(3, f"The learner does the lesson “{lesson['title']}” of “{course['title']}”")
    server.refuse_once = "lesson.completed" if fresh else "exercise.answered"
    before = board_xp(learner)
    given, xp = answer_lesson(learner, lesson["lesson_id"])
    after = learner.all(f"/api/courses/{course['id']}/lesson-progress")
    course_done = fresh and all(one["status"] == "completed" for one in after)

    headline(4, "What it adds up to: where the answers do not suffice for a level, the report says so")
    show_report(learner, before + xp)

    headline(5, "Each event leaves as a signed webhook; the receiver refuses one once")
    refused = await_webhooks(server, hook["secret"], given + fresh + course_done)

    headline(6, "The delivery log shows every attempt")
    show_delivery_log(owner, hook["id"], refused)

    headline(7, "An export holds it all")
    export(owner)
    told = server.next()
    say(f"   and a webhook told it: {told.event['type']}, {told.event['data']['rows']} rows")


def main() -> int:
    try:
        file = from_environment().state / "run.json"
        walk(json.loads(file.read_text()))
    except FileNotFoundError:
        print("Nothing runs here yet: make run", file=sys.stderr)
        return 1
    except LocalCloudError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
