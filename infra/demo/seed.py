"""The demo data: two institutions, their people, and the courses of `courses/` and `private/`, audio too.

`python -m infra.demo.seed` writes what is missing and prints the accounts. The passwords below are known to
everyone, so it runs against a local cloud only. An institution comes into being together with its people,
once: whoever changed a password keeps it.
"""

import json
import os
import sys
from dataclasses import dataclass

from chalicelib.auth import service as auth
from chalicelib.catalogue.publishing import publish
from chalicelib.catalogue.schemas import CourseContent, ItemContent, LessonContent, TrainingContent
from chalicelib.core import clock
from chalicelib.core.abilities import Role
from chalicelib.core.errors import NotFound
from chalicelib.core.settings import settings
from chalicelib.core.store import Transaction
from chalicelib.institutions import service as institutions
from chalicelib.institutions.models import institution_of
from infra.demo.courses import (
    COURSES,
    PRIVATE,
    CourseFile,
    LessonFile,
    TrainingFile,
    course_folders,
    load_course,
)
from infra.demo.media import Media


@dataclass(frozen=True)
class Person:
    role: Role
    name: str
    email: str
    password: str


@dataclass(frozen=True)
class Institution:
    id: str
    name: str
    plan: institutions.Plan
    people: tuple[Person, ...]


SCHOOL = Institution(
    "ins_00000000000000000000000001",
    "Lingua School",
    "pro",
    (
        Person(Role.OWNER, "Clara Roth", "owner@lingua-school.example", "demo-owner-1"),
        Person(Role.INSTRUCTOR, "Jonas Weber", "instructor@lingua-school.example", "demo-instructor-1"),
        Person(Role.LEARNER, "Mia Novak", "learner@lingua-school.example", "demo-learner-1"),
    ),
)
COMPANY = Institution(
    "ins_00000000000000000000000002",
    "Kontor AG",
    "free",
    (Person(Role.OWNER, "Henrik Paulsen", "owner@kontor.example", "demo-owner-2"),),
)


def seed() -> list[dict[str, str]]:
    """Write what is missing. Returns the accounts, with the passwords that they began with."""
    accounts = []
    for institution in (SCHOOL, COMPANY):
        _found(institution)
        accounts += [
            {
                "email": person.email,
                "password": person.password,
                "role": person.role.value,
                "institution_id": institution.id,
            }
            for person in institution.people
        ]
    media = Media()
    for under, owner_id in ((COURSES, institutions.PUBLIC_INSTITUTION), (PRIVATE, SCHOOL.id)):
        for folder in course_folders(under):
            publish(as_content(load_course(folder, media.url_of)), owner_id, clock.now())
    return accounts


def _found(institution: Institution) -> None:
    """Make the institution with its people, all at once, if it is not there."""
    try:
        institution_of(institution.id)
    except NotFound:
        now, transaction = clock.now(), Transaction()
        institutions.create(transaction, institution.name, institution.plan, now, institution.id)
        per_minute = institutions.PLAN_LIMITS[institution.plan]
        for person in institution.people:
            user, _ = auth.sign_up(
                transaction, email=person.email, password=person.password, name=person.name, now=now
            )
            institutions.add_member(transaction, institution.id, user.id, person.role, per_minute, now)
        transaction.commit()


def as_content(course: CourseFile) -> CourseContent:
    """The course as it is published: without the answers that are listed for tests."""
    return CourseContent(
        slug=course.slug,
        title=course.title,
        description=course.description,
        language=course.language,
        taught_in=course.taught_in,
        cefr_level=course.cefr_level,
        lessons=tuple(_lesson(lesson) for lesson in course.lessons),
    )


def _lesson(lesson: LessonFile) -> LessonContent:
    return LessonContent(
        slug=lesson.slug,
        title=lesson.title,
        intro=lesson.intro,
        can_do=lesson.can_do,
        trainings=tuple(_training(training) for training in lesson.trainings),
    )


def _training(training: TrainingFile) -> TrainingContent:
    items = tuple(ItemContent(slug=entry.slug, item=entry.item) for entry in training.items)
    return TrainingContent(slug=training.slug, title=training.title, items=items)


def main() -> int:
    if settings().stage != "local" or not os.environ.get("AWS_ENDPOINT_URL"):
        print("The demo data is for a local cloud: STAGE=local and AWS_ENDPOINT_URL.", file=sys.stderr)
        return 1
    print(json.dumps(seed()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
