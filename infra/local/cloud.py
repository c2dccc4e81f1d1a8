"""The local cloud: MiniStack in the background, with state of its own on disk.

`python -m infra.local.cloud start|stop|reset|status|logs`. PORT and STATE_DIR move it, so that several can
run side by side.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.steps import Failed, step

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / ".local" / "tools"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
LAUNCHER = Path(__file__).with_name("launcher.py")
REGION = "eu-central-1"
START_SECONDS = 60
STOP_SECONDS = 30


class LocalCloudError(Failed):
    """The local cloud cannot do its part."""


@dataclass(frozen=True)
class Cloud:
    """One instance: where it listens and where it keeps its state."""

    state: Path
    port: int
    snapshot_seconds: float = 2
    minute_seconds: float = 60
    """How long a minute of a schedule lasts."""

    @property
    def base_url(self) -> str:
        """Where the API answers. A custom domain called 127.0.0.1 routes this name to it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint_url(self) -> str:
        """Where AWS's own calls go: by the name `localhost`, as 127.0.0.1 belongs to the API."""
        return f"http://localhost:{self.port}"

    @property
    def lock_file(self) -> Path:
        """Locked by the running process, with its pid inside."""
        return self.state / "cloud.pid"

    @property
    def log_file(self) -> Path:
        return self.state / "cloud.log"

    @property
    def stored(self) -> Path:
        """What MiniStack keeps: services, S3 objects, the functions' unpacked packages."""
        return self.state / "cloud"

    def session(self) -> boto3.Session:
        """A session of the account's root. MiniStack knows these credentials, AWS does not."""
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, whatever AWS settings the shell has."""
        config = Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 2})
        make: Any = self.session().client
        return make(service, endpoint_url=self.endpoint_url, config=config)


def from_environment() -> Cloud:
    """The cloud that PORT and STATE_DIR name; `.local/` and 4610 unless they say otherwise."""
    port = os.environ.get("PORT") or "4610"
    if not port.isdecimal():
        raise LocalCloudError(f"PORT={port} is not a port number.")
    state = Path(os.environ.get("STATE_DIR") or REPOSITORY / ".local").resolve()
    return Cloud(state, int(port), float(os.environ.get("SNAPSHOT_SECONDS") or 2))


# Tools


def _environment(name: str) -> Path:
    """A Python environment that all instances of this Python share; a changed requirement makes a new one."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    return TOOLS / f"{name}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _run(command: list[str], purpose: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalCloudError(f"{purpose} failed.\n{(done.stdout + done.stderr)[-3000:]}")


def _install(environment: Path) -> None:
    """Install MiniStack with uv, or with pip where uv does not run or cannot reach its index."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(_python(environment))]
    with contextlib.suppress(LocalCloudError):
        _run([*uv, "-r", str(REQUIREMENTS)], "uv")
        return
    pip = [str(_python(environment)), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _run([*pip, "-r", str(REQUIREMENTS)], "Installing MiniStack (is a package index reachable?)")


def _make(environment: Path, *, empty: bool) -> None:
    if (environment / "complete").exists():
        return
    with step("making the functions' empty Python" if empty else "installing MiniStack"):
        shutil.rmtree(environment, ignore_errors=True)
        options = ["--without-pip"] if empty else []
        _run([sys.executable, "-m", "venv", *options, str(environment)], f"Making {environment}")
        if not empty:
            _install(environment)
        (environment / "complete").touch()


def prepare() -> None:
    """Make the environments for MiniStack and for the functions, once."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(_environment("ministack"), empty=False)
        _make(_environment("functions"), empty=True)


# The process


def running_pid(cloud: Cloud) -> int | None:
    """The pid of this state folder's cloud, or None. Only the process that holds the lock counts."""
    try:
        with cloud.lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def healthy(cloud: Cloud) -> bool:
    try:
        with urllib.request.urlopen(f"{cloud.endpoint_url}/_ministack/health", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _settings(cloud: Cloud) -> dict[str, str]:
    """All that the process inherits. Functions inherit it too, so nothing of the shell may slip in."""
    return {
        "PATH": os.defpath,
        "HOME": str(cloud.stored),
        "LANG": "C.UTF-8",
        "TMPDIR": str(cloud.stored / "tmp"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(cloud.port),
        "MINISTACK_REGION": REGION,
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_CONFIG_FILE": str(cloud.stored / "aws.config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(cloud.stored / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(cloud.stored / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "SNAPSHOT_SECONDS": str(cloud.snapshot_seconds),
        "MINUTE_SECONDS": str(cloud.minute_seconds),
        "FUNCTION_PYTHON": str(_python(_environment("functions"))),
    }


def _lay_out(cloud: Cloud) -> None:
    """Make the folders, empty the functions' scratch space, and have S3 addressed by path.

    Bucket names as host names (`bucket.localhost`) resolve on few machines.
    """
    shutil.rmtree(cloud.stored / "tmp", ignore_errors=True)
    for name in ("tmp", "services", "s3"):
        (cloud.stored / name).mkdir(parents=True, exist_ok=True)
    (cloud.stored / "aws.config").write_text("[default]\ns3 =\n  addressing_style = path\n")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refuse_taken_port(cloud: Cloud) -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", cloud.port)) == 0:
            raise LocalCloudError(
                f"Another program uses port {cloud.port}. Choose another: PORT={cloud.port + 1} make …"
            )


_launched: dict[Path, subprocess.Popen[bytes]] = {}


def _bury(cloud: Cloud) -> None:
    """Collect a process of ours that has ended; it would stay a zombie as long as we run."""
    if process := _launched.pop(cloud.state, None):
        process.wait()


def _launch(cloud: Cloud) -> subprocess.Popen[bytes]:
    with cloud.log_file.open("wb") as log:
        _launched[cloud.state] = subprocess.Popen(
            [str(_python(_environment("ministack"))), str(LAUNCHER), str(cloud.lock_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=cloud.stored,
            env=_settings(cloud),
            start_new_session=True,
        )
    return _launched[cloud.state]


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _await_health(cloud: Cloud, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not healthy(cloud):
        if process.poll() is not None:
            raise LocalCloudError(
                f"MiniStack ended at once. Its log ({cloud.log_file}):\n{_tail(cloud.log_file)}"
            )
        if time.monotonic() > deadline:
            process.terminate()
            raise LocalCloudError(f"MiniStack did not answer within {START_SECONDS} s. See {cloud.log_file}")
        time.sleep(0.1)


def start(cloud: Cloud) -> None:
    """Start the cloud in the background, or find it running."""
    if running_pid(cloud):
        if not healthy(cloud):
            raise LocalCloudError(
                f"The cloud of {cloud.state} runs, but not on port {cloud.port}. Stop it, or use its port."
            )
        return
    _bury(cloud)
    prepare()
    _refuse_taken_port(cloud)
    with step(f"starting the local cloud on port {cloud.port}"):
        _lay_out(cloud)
        _await_health(cloud, _launch(cloud))


def stop(cloud: Cloud) -> None:
    """Stop the cloud and wait for its end: it saves its state as it goes."""
    pid = running_pid(cloud)
    if pid is None:
        return
    with step(f"stopping the local cloud (pid {pid})"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running_pid(cloud):
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"Process {pid} did not end within {STOP_SECONDS} s. End it with: kill -9 {pid}"
                )
            time.sleep(0.05)
        _bury(cloud)


def reset(cloud: Cloud) -> None:
    """Stop the cloud and forget its data; the tools stay installed."""
    stop(cloud)
    for path in (cloud.stored, cloud.state / "build"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (cloud.log_file, cloud.lock_file, cloud.state / "run.json"):
        path.unlink(missing_ok=True)


# Reading it


def log_groups(cloud: Cloud) -> list[str]:
    """The log groups of the functions, written to or not yet."""
    pages = cloud.client("lambda").get_paginator("list_functions").paginate()
    return sorted(f"/aws/lambda/{found['FunctionName']}" for page in pages for found in page["Functions"])


def _is_noise(message: str) -> bool:
    return message.startswith(("START RequestId", "END RequestId", "REPORT RequestId", "INIT_START"))


def _events(cloud: Cloud, group: str, since: int) -> list[dict[str, Any]]:
    logs = cloud.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    try:
        return [event for page in pages for event in page["events"] if not _is_noise(event["message"])]
    except logs.exceptions.ResourceNotFoundException:
        return []


def _lines(cloud: Cloud, since: int) -> list[tuple[int, str, str]]:
    """(milliseconds, function, message) of everything logged since then, in order."""
    return sorted(
        (event["timestamp"], group.removeprefix("/aws/lambda/"), event["message"].rstrip())
        for group in log_groups(cloud)
        for event in _events(cloud, group, since)
    )


def follow_logs(cloud: Cloud, seconds_back: int = 60) -> None:
    """Print the functions' log lines as they come, until interrupted."""
    since = int((time.time() - seconds_back) * 1000)
    printed: set[tuple[int, str, str]] = set()
    while True:
        lines = _lines(cloud, since)
        for at, function, message in lines:
            if (at, function, message) not in printed:
                clock = datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
                print(f"{clock} {function.removeprefix('talktiko-local-'):<22} {message}", flush=True)
        printed = set(lines)
        since = max(since, int((time.time() - 10) * 1000))  # a line may appear a little after its time
        time.sleep(1)


def status(cloud: Cloud) -> str:
    pid = running_pid(cloud)
    if pid is None:
        return f"not running (state: {cloud.state})"
    health = "healthy" if healthy(cloud) else "NOT healthy"
    return f"running: {cloud.base_url}, pid {pid}, {health}, log {cloud.log_file}"


def _show_logs(cloud: Cloud) -> None:
    if not running_pid(cloud):
        raise LocalCloudError("The local cloud is not running. Start it: make run")
    with contextlib.suppress(KeyboardInterrupt):
        follow_logs(cloud)


def _show_status(_cloud: Cloud) -> None:
    """Every command but `logs` ends with the status."""


def main(arguments: list[str]) -> int:
    commands = {"start": start, "stop": stop, "reset": reset, "status": _show_status, "logs": _show_logs}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        cloud = from_environment()
        commands[arguments[0]](cloud)
    except LocalCloudError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if arguments[0] != "logs":
        print(status(cloud))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
