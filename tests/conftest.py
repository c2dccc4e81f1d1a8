"""A local cloud of the tests' own: other port, other state, the real templates and package."""

import io
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from infra.local.cloud import REPOSITORY, Cloud, free_port, reset
from tests.system.client import Client, SignIns

# The first example of a test may build the schemas that it uses, which takes longer than the others.
settings.register_profile("talktiko", deadline=None)
settings.load_profile("talktiko")

STATES = REPOSITORY / ".local" / "test"
ENVIRONMENT = {
    "WEBHOOK_RETRY_SCHEDULE": "1,2,4",
    "SIGN_IN_ADDRESS_LIMIT": "100000",  # all tests come from one address
}


@dataclass(frozen=True)
class LocalCloud:
    """The deployed system as a client and an operator see it."""

    cloud: Cloud
    facts: dict[str, Any]

    @property
    def base_url(self) -> str:
        return self.cloud.base_url

    @property
    def endpoint_url(self) -> str:
        return self.cloud.endpoint_url

    @property
    def stage_url(self) -> str:
        """Where the API answers with its stage in the path, as AWS gives it out."""
        api = self.client("apigateway").get_rest_apis()["items"][0]["id"]
        return f"{self.endpoint_url}/_aws/execute-api/{api}/live"

    @property
    def accounts(self) -> list[dict[str, str]]:
        accounts: list[dict[str, str]] = self.facts["accounts"]
        return accounts

    def client(self, service: str) -> Any:
        return self.cloud.client(service)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _clear_abandoned() -> None:
    """Stop and remove the clouds of test runs that were killed before they could."""
    for run in STATES.glob("*"):
        if not _is_alive(run.name):
            for state in run.iterdir():
                reset(Cloud(state, port=0))
            shutil.rmtree(run, ignore_errors=True)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the app writes into its log meanwhile, in this process."""
    from chalicelib.core.logs import log  # whoever imports it has read the settings

    handler = log.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    text = io.StringIO()
    before = handler.setStream(text)
    yield text
    handler.setStream(before)


@pytest.fixture(scope="session")
def states() -> Iterator[Path]:
    """Where this test run's clouds keep their state."""
    _clear_abandoned()
    folder = STATES / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def local_cloud(states: Path) -> Iterator[LocalCloud]:
    """The whole system, deployed with demo data and a fast retry schedule."""
    from infra.local.run import up  # what it imports is too much for unit tests, which have this file too

    cloud = Cloud(states / "system", free_port())
    cloud.state.mkdir()
    try:
        yield LocalCloud(cloud, up(cloud, ENVIRONMENT))
    finally:
        reset(cloud)


@pytest.fixture(scope="session")
def anyone(local_cloud: LocalCloud) -> Client:
    """Without a token."""
    return Client(local_cloud.base_url)


@pytest.fixture(scope="session")
def sign_in(anyone: Client) -> SignIns:
    """Signs in to an account of `local_cloud.accounts`, for its institution."""
    return SignIns(anyone)


def _account(local_cloud: LocalCloud, role: str, *, of_first: bool) -> dict[str, str]:
    first = local_cloud.accounts[0]["institution_id"]
    return next(
        account
        for account in local_cloud.accounts
        if account["role"] == role and (account["institution_id"] == first) == of_first
    )


@pytest.fixture(scope="session")
def owner(local_cloud: LocalCloud, sign_in: SignIns) -> Client:
    """The owner of the demo school."""
    return sign_in(_account(local_cloud, "owner", of_first=True))


@pytest.fixture(scope="session")
def instructor(local_cloud: LocalCloud, sign_in: SignIns) -> Client:
    """An instructor of the demo school."""
    return sign_in(_account(local_cloud, "instructor", of_first=True))


@pytest.fixture(scope="session")
def learner(local_cloud: LocalCloud, sign_in: SignIns) -> Client:
    """A learner of the demo school."""
    return sign_in(_account(local_cloud, "learner", of_first=True))


@pytest.fixture(scope="session")
def stranger(local_cloud: LocalCloud, sign_in: SignIns) -> Client:
    """The owner of another institution."""
    return sign_in(_account(local_cloud, "owner", of_first=False))
