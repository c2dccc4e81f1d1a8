"""The processes in which a local cloud runs its functions, to be killed as when their machine is lost."""

from pathlib import Path

from infra.local.cloud import Cloud


def workers(cloud: Cloud, function: str) -> list[int]:
    """Ids of the processes that run this function now."""
    ours, named = str(cloud.state).encode(), f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            continue
        if named in environment.split(b"\0") and ours in environment:
            found.append(int(process.name))
    return sorted(found)
