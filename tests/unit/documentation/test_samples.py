"""The code that the guide on verifying webhooks shows, run against real signatures."""

import hmac
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from chalicelib.documentation import samples
from chalicelib.webhooks.signing import body_signature, new_secret, signature_headers

RUNNERS = Path(__file__).with_name("runners")
SECRET, NEXT_SECRET = new_secret(b"old " * 8), new_secret(b"next" * 8)
BODY = '{"id":"evt_1","data":{"title":"Grüße, ¿qué?","url":"https:\\/\\/x","emoji":"🎉"}}\n'.encode()
NOW = datetime.now(UTC)


def sent(body: bytes = BODY, at: datetime = NOW, *newer: str) -> dict[str, str]:
    return signature_headers(body, message_id="evt_1", sent_at=at, secrets=[SECRET, *newer])


class Case(NamedTuple):
    """What a receiver was sent, and with which secret it looks at it."""

    scheme: str
    body: bytes
    id: str
    timestamp: str
    signature: str
    secret: str

    @property
    def line(self) -> str:
        fields = [field if isinstance(field, bytes) else field.encode() for field in self]
        return "\t".join(b64encode(field).decode() for field in fields)


def webhook(headers: Mapping[str, str], secret: str = SECRET, body: bytes = BODY, **other: str) -> Case:
    seen = {
        "id": headers["webhook-id"],
        "timestamp": headers["webhook-timestamp"],
        "signature": headers["webhook-signature"],
        **other,
    }
    return Case("webhook", body, secret=secret, **seen)


def body(signature: str, secret: str = SECRET, body: bytes = BODY) -> Case:
    return Case("body", body, "", "", signature, secret)


OVERLAP = sent(BODY, NOW, NEXT_SECRET)
BINARY = b"\x00\xff\xfe\r\n"
ACCEPTED = {
    "webhook": webhook(sent()),
    "webhook, bytes that are no text": webhook(sent(BINARY), body=BINARY),
    "webhook, empty body": webhook(sent(b""), body=b""),
    "webhook, four minutes old": webhook(sent(at=NOW - timedelta(minutes=4))),
    "webhook, a clock four minutes slow": webhook(sent(at=NOW + timedelta(minutes=4))),
    "webhook, overlap, old secret": webhook(OVERLAP),
    "webhook, overlap, next secret": webhook(OVERLAP, NEXT_SECRET),
    "webhook, beside a scheme to come": webhook(
        sent(), signature=f"v1a,AAAA {sent()['webhook-signature']} v2,AAAA"
    ),
    "body": body(sent()["X-Signature-256"]),
    "body, bytes that are no text": body(sent(BINARY)["X-Signature-256"], body=BINARY),
    "body, overlap, old secret": body(OVERLAP["X-Signature-256"]),
    "body, overlap, next secret": body(OVERLAP["X-Signature-256-Next"], NEXT_SECRET),
}


def forged() -> str:
    """The signature that anyone can make for a receiver whose secret is unset."""
    content = f"evt_1.{sent()['webhook-timestamp']}.".encode() + BODY
    return f"v1,{b64encode(hmac.digest(b'', content, 'sha256')).decode()}"


REFUSED = {
    "webhook, tampered body": webhook(sent(), body=BODY.replace(b"evt_1", b"evt_2")),
    "webhook, body without its last line end": webhook(sent(), body=BODY[:-1]),
    "webhook, wrong secret": webhook(sent(), NEXT_SECRET),
    "webhook, no secret": webhook(sent(), "", signature=forged()),
    "webhook, ten minutes old": webhook(sent(at=NOW - timedelta(minutes=10))),
    "webhook, ten minutes ahead": webhook(sent(at=NOW + timedelta(minutes=10))),
    "webhook, another id": webhook(sent(), id="evt_2"),
    "webhook, a newer time than was signed": webhook(
        sent(at=NOW - timedelta(minutes=10)), timestamp=sent()["webhook-timestamp"]
    ),
    **{
        f"webhook, timestamp {timestamp!r}": webhook(sent(), timestamp=timestamp)
        for timestamp in ("", "now", "-1", "1e9", "9" * 40, sent()["webhook-timestamp"] + "\n")
    },
    **{
        f"webhook, signature {signature!r}": webhook(sent(), signature=signature)
        for signature in ("", "v1,", "v1,ü", "v1", sent()["webhook-signature"].replace("v1,", "v2,"))
    },
    "body, tampered": body(sent()["X-Signature-256"], body=BODY + b" "),
    "body, wrong secret": body(sent()["X-Signature-256"], NEXT_SECRET),
    "body, no secret": body(body_signature("", BODY), ""),
    "body, no signature": body(""),
    "body, short signature": body(sent()["X-Signature-256"][:-1]),
    "body, signature of other letters": body("ü" * 64),
    "body, signature of the other scheme": body(sent()["webhook-signature"]),
}


def script(program: str, runner: str) -> Callable[[Path, Path], list[str]]:
    return lambda sample, _: [program, str(RUNNERS / runner), str(sample)]


def go(sample: Path, folder: Path) -> list[str]:
    (folder / "webhooks").mkdir()
    shutil.copy(sample, folder / "webhooks")
    shutil.copy(RUNNERS / "run.go", folder / "main.go")
    (folder / "go.mod").write_text("module receiver\n\ngo 1.19\n")
    build("go", "vet", "./...", within=folder)
    build("go", "build", "-o", "run", within=folder)
    return [str(folder / "run")]


def java(sample: Path, folder: Path) -> list[str]:
    build("javac", "-Xlint:all", "-Werror", "-d", str(folder), str(sample), str(RUNNERS / "Run.java"))
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(folder), "Run"]


def dotnet(sample: Path, folder: Path) -> list[str]:
    version = build("dotnet", "--version").partition(".")[0]
    for source in (sample, RUNNERS / "Run.cs"):
        shutil.copy(source, folder)
    (folder / "receiver.csproj").write_text(
        '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>'
        f"<TargetFramework>net{version}.0</TargetFramework></PropertyGroup></Project>"
    )
    build("dotnet", "build", "-o", "out", within=folder)
    return ["dotnet", str(folder / "out" / "receiver.dll")]


def mono(sample: Path, folder: Path) -> list[str]:
    build("mcs", "-r:System.Core.dll", f"-out:{folder / 'run.exe'}", str(sample), str(RUNNERS / "Run.cs"))
    return ["mono", str(folder / "run.exe")]


def build(*command: str, within: Path | None = None) -> str:
    done = subprocess.run(command, cwd=within, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


LANGUAGES: dict[str, tuple[tuple[str, ...], Callable[[Path, Path], list[str]]]] = {
    "PHP": (("php",), script("php", "run.php")),
    "Python": ((), script(sys.executable, "run.py")),
    "Node": (("node",), script("node", "run.mjs")),
    "Ruby": (("ruby",), script("ruby", "run.rb")),
    "Go": (("go",), go),
    "Java": (("javac", "java"), java),
    "C#": (("dotnet",), dotnet) if shutil.which("dotnet") else (("mcs", "mono"), mono),
}


def test_every_language_that_is_shown_is_run() -> None:
    assert [sample.language for sample in samples.SAMPLES] == list(LANGUAGES)


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.language)
def test_the_sample_accepts_what_we_signed_and_nothing_else(sample: samples.Sample, tmp_path: Path) -> None:
    programs, prepare = LANGUAGES[sample.language]
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: the {sample.language} sample is not run here")
    cases = ACCEPTED | REFUSED
    done = subprocess.run(
        prepare(sample.path, tmp_path),
        input="\n".join(case.line for case in cases.values()) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    found = dict(zip(cases, done.stdout.split(), strict=True))
    assert found == dict.fromkeys(ACCEPTED, "accepted") | dict.fromkeys(REFUSED, "refused")


def test_the_php_is_that_of_the_reference_page() -> None:
    php = next(sample for sample in samples.SAMPLES if sample.language == "PHP").code()
    assert "$signature = hash_hmac('sha256', $requestBody, $webhookSecret);" in php
    assert "$isValid = hash_equals($signature, $headerSignature);" in php


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.language)
def test_samples_take_the_same_tolerance_and_fit_a_page(sample: samples.Sample) -> None:
    assert re.search(rf"\b{samples.TOLERANCE_SECONDS}\b", sample.code())
    assert max(map(len, sample.code().splitlines())) <= 110
