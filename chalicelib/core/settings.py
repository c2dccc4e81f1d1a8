"""Configuration: environment variables, read once, checked as a whole.

`Settings` is the source of the README's table. Nothing else reads `os.environ`.
"""

import os
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseModel):
    """What a stage may set. A field's name in upper case is the variable's name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: Literal["local", "dev", "staging", "prod"] = Field(
        "local", description="Names every table, queue and key; `local` also allows loopback webhooks."
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]+[^?#]*[^/?#]$",
        description="Base of absolute links. Unset: taken from the request, stage path included.",
    )
    exports_bucket: str | None = Field(
        None, description="Bucket of export files. Unset: `talktiko-<stage>-exports`."
    )
    webhook_retry_schedule: Annotated[
        tuple[Annotated[int, Field(ge=1, le=3600)], ...], BeforeValidator(_split)
    ] = Field((60, 300, 1500), max_length=10, description="Seconds before each retry, ±20 % jitter.")
    outbox_grace_seconds: int = Field(
        30, ge=0, le=3600, description="Age at which the sweeper publishes an event that is still marked."
    )
    export_cut_off_seconds: int = Field(
        120, ge=0, le=3600, description="How far back an export of recorded facts ends: indexes lag behind."
    )
    export_run_seconds: int = Field(
        270, ge=0, le=280, description="After which an export's run ends and the next one goes on."
    )
    standings_delay_seconds: int = Field(
        20, ge=0, le=900, description="Within which a learner's answers are entered in standings together."
    )
    worker_concurrency: int | None = Field(
        None, ge=2, le=1000, description="Most batches of a queue at once. Unset: as each worker declares."
    )
    public_rate_limit: int = Field(
        100, ge=1, description="Unauthenticated requests per minute and client address."
    )
    refused_token_limit: int = Field(100, ge=1, description="Refused tokens per minute and client address.")
    sign_in_limit: int = Field(10, ge=1, description="Sign-ins per 15 minutes, account and client address.")
    sign_in_account_limit: int = Field(
        100, ge=1, description="Sign-ins per 15 minutes and account, from all addresses."
    )
    sign_in_address_limit: int = Field(100, ge=1, description="Sign-ins per 15 minutes and client address.")
    cors_origins: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:\d+)?$")], ...], BeforeValidator(_split)
    ] = Field(
        (), max_length=20, description="Origins whose pages may call the API, `https://app.example.org`."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")

    def table(self, name: str) -> str:
        return f"talktiko-{self.stage}-{name}"

    def queue(self, name: str) -> str:
        return f"talktiko-{self.stage}-{name}"

    @property
    def secrets_key(self) -> str:
        """The KMS key that seals secrets at rest."""
        return f"alias/talktiko-{self.stage}-secrets"

    @property
    def signing_key(self) -> str:
        """The KMS HMAC key from which the keys of our own signatures are derived."""
        return f"alias/talktiko-{self.stage}-signing"

    @property
    def bucket(self) -> str:
        return self.exports_bucket or f"talktiko-{self.stage}-exports"

    @property
    def loopback_allowed(self) -> bool:
        """Webhooks to this very machine: only on a laptop."""
        return self.stage == "local"


class Misconfigured(Exception):
    """The environment does not make a valid configuration; the message lists every fault."""


@cache
def settings() -> Settings:
    """The configuration of this process. Raises `Misconfigured` with all faults at once."""
    given = {name: os.environ[name.upper()] for name in Settings.model_fields if os.environ.get(name.upper())}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise Misconfigured(faults) from error
