"""Start MiniStack with the repairs that make it a fit stand-in for AWS.

Runs in MiniStack's own environment (standard library and ministack only): `launcher.py LOCK_FILE`.
It reaches into private names of one pinned version; tests/system/local_cloud holds a test per repair.
"""

import asyncio
import fcntl
import json
import os
import sys
import tempfile
import threading
import time
import types
import zipfile
from pathlib import Path
from typing import Any

# Only MiniStack's environment has it, not the one in which types are checked.
from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions, lambda_runtime, persistence  # type: ignore[import-not-found]
from ministack.services import apigateway_v1, eventbridge, kms, lambda_svc  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]


def hold(lock_file: str) -> object:
    """Mark this state folder as in use for as long as this process lives.

    The lock vanishes with the process however it ends, so whoever finds it held can trust the pid inside
    and never signals a stranger. Lambda processes do not inherit it.
    """
    file = Path(lock_file).open("a+")  # noqa: SIM115 - open until the process ends
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


class Snapshots:
    """Save the state while running, not only at a clean stop: `kill -9` lost tables, queues and functions.

    The state is copied on the event loop, where every DynamoDB call runs in one step: a transaction is in
    a snapshot whole or not at all. Files are written beside the loop, and a code package is removed only
    once no file refers to it. A snapshot rests 20 times as long as it took: at most 5 % of a core.
    """

    def __init__(self, interval: float) -> None:
        """Seconds between snapshots; 0 leaves it to the clean stop."""
        self.interval = interval
        self.calls = 0
        self.stopping = False
        self.writing = threading.Lock()
        self.packages: set[str] = set()
        self.serve, self.save_all = app.app, app.save_all
        self.prune = lambda_svc._prune_orphan_code_blobs

    def install(self) -> None:
        persistence.logger.setLevel("WARNING")  # it reports every file it writes
        app.app, app.save_all = self.count, self.save_last
        if self.interval:
            lambda_svc._prune_orphan_code_blobs = self.packages.update
            threading.Thread(target=self.run, daemon=True, name="snapshots").start()

    async def count(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve, and note that something may have changed."""
        if "/_ministack/" not in scope.get("path", ""):
            self.calls += 1
        await self.serve(scope, receive, send)

    def save_last(self, services: dict[str, Any]) -> None:
        """MiniStack's own save as it stops; no snapshot may overwrite it."""
        with self.writing:
            self.stopping = True
            self.save_all(services)

    async def copy(self) -> dict[str, Any]:
        self.packages.clear()
        return {name: get_state() for name, get_state in app._build_persistence_save_dict().items()}

    def take(self) -> None:
        state = asyncio.run_coroutine_threadsafe(self.copy(), app._MAIN_LOOP).result()
        with self.writing:
            if not self.stopping:
                self.save_all({name: (lambda value=value: value) for name, value in state.items()})
                self.prune(self.packages)

    def run(self) -> None:
        saved, rest = 0, self.interval
        while not self.stopping:
            time.sleep(rest)
            seen, began = self.calls, time.monotonic()
            if seen == saved:
                continue
            try:
                self.take()
                saved = seen
            except Exception as fault:
                # A poller's thread changed what was being copied: the next round saves it.
                persistence.logger.warning("snapshot postponed: %s", fault)
            rest = max(self.interval, 20 * (time.monotonic() - began))


def hash_code_once() -> None:
    """Remember the hash of each code package: a snapshot would read every function's 30 MB anew."""
    write = lambda_svc._write_code_blob
    known: dict[int, tuple[bytes, str]] = {}

    def write_once(code: bytes) -> str:
        _, sha = known.get(id(code), (code, ""))
        if not sha or not Path(lambda_svc.CODE_BLOB_DIR, f"{sha}.zip").exists():
            sha = write(code)
            known[id(code)] = (code, sha)
        return sha

    lambda_svc._write_code_blob = write_once


def unpack_once() -> None:
    """Let all processes of a function read one unpacked package; each would write 1,000 files, 60 MB."""
    folders: dict[tuple[tuple[str, int], ...], str] = {}
    lock = threading.Lock()

    class Shared(zipfile.ZipFile):
        def namelist(self) -> list[str]:
            """Nothing to check: `extractall` leaves its folder for no name."""
            return []

        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            content = tuple((entry.filename, entry.CRC) for entry in self.infolist())
            with lock:
                if content not in folders:
                    folder = tempfile.mkdtemp(prefix="unpacked-")
                    names = super().namelist() if members is None else members
                    super().extractall(folder, names, pwd)
                    folders[content] = folder
            for entry in Path(folders[content]).iterdir():
                Path(path, entry.name).symlink_to(entry)

    lambda_runtime.zipfile = types.SimpleNamespace(**vars(zipfile) | {"ZipFile": Shared})


def isolate_functions(python: str) -> None:
    """Run functions under an empty environment's Python: they see their package and nothing else.

    Otherwise they import what MiniStack has installed, and a package that lacks a dependency works here and
    breaks on AWS. Lambda processes are the only ones that MiniStack starts with `sys.executable`.
    """
    sys.executable = python


def replay_streams() -> None:
    """Forget stream positions at a restart, so that TRIM_HORIZON delivers every record again.

    They count records of a stream that itself starts empty after a restart: as many new records as had
    been consumed before were skipped.
    """
    lambda_svc._restore_esm_positions = lambda _store, _positions: None


def import_rest_apis() -> None:
    """Understand ImportRestApi and PutRestApi, the two calls by which `chalice deploy` makes its API.

    Unrepaired, the first creates an empty API and the second answers 404.
    """
    handle = apigateway_v1.handle_request

    def overwrite(api_id: str, spec: dict[str, Any]) -> None:
        resources = apigateway_v1._resources[api_id]
        for resource_id in [key for key, resource in resources.items() if resource["path"] != "/"]:
            del resources[resource_id]
        for path, item in spec.get("paths", {}).items():
            apigateway_v1._import_path_item(api_id, path, item)

    async def adapted(method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]) -> Any:
        parts = path.strip("/").split("/")
        importing = method == "POST" and parts == ["restapis"] and "mode" in query
        putting = method == "PUT" and parts[0] == "restapis" and len(parts) == 2
        if not (importing or putting) or (putting and parts[1] not in apigateway_v1._rest_apis):
            return await handle(method, path, headers, body, query)
        spec = json.loads(body)
        if putting:
            overwrite(api_id := parts[1], spec)
        else:
            api_id = apigateway_v1._import_rest_api(spec)
        api = apigateway_v1._rest_apis[api_id]
        api["binaryMediaTypes"] = spec.get("x-amazon-apigateway-binary-media-types", [])
        return apigateway_v1._v1_response(apigateway_v1._rest_api_view(api), 201 if importing else 200)

    apigateway_v1.handle_request = adapted


def compress_nothing_when_told_so() -> None:
    """Read Chalice's empty `minimumCompressionSize` as none: the answer held "", which no botocore reads."""
    view = apigateway_v1._rest_api_view

    def readable(api: Any) -> Any:
        return {**view(api), "minimumCompressionSize": api["minimumCompressionSize"] or None} if api else api

    apigateway_v1._rest_api_view = readable


def make_functions_ready_at_once() -> None:
    """Answer that a new or changed function is ready: Chalice's waiters look again after five seconds only,
    which made a minute of each deploy of seven functions.
    """

    def ready(name: str, _delay: float) -> None:
        function = lambda_svc._functions.get(name)
        for holder in (function, *function["versions"].values()) if function else ():
            holder["config"] |= {"State": "Active", "LastUpdateStatus": "Successful"}

    lambda_svc._schedule_state_transition = ready


def shorten_schedules(minute: float) -> None:
    """Let a scheduled minute last `minute` seconds, for tests that wait for one."""
    seconds_of = eventbridge._parse_rate_seconds

    def shortened(expression: str) -> Any:
        seconds = seconds_of(expression)
        return seconds * minute / 60 if seconds else seconds

    eventbridge._parse_rate_seconds = shortened
    eventbridge._SCHEDULER_TICK_INTERVAL = min(eventbridge._SCHEDULER_TICK_INTERVAL, minute / 2)


def check_kms_like_aws() -> None:
    """Authorize a KMS call on the key itself, with `kms:ResourceAliases` and the encryption context known.

    MiniStack checks a call that names an alias against the alias's ARN and knows no KMS condition keys, so
    a policy that is right on AWS was refused here.
    """
    resource_of, context_of = iam_actions.extract_resource_arn, iam_actions.request_tag_context

    def key_of(body: bytes) -> Any:
        named = iam_actions._safe_json_field(body, "KeyId")
        sealed = iam_actions._safe_json_field(body, "CiphertextBlob")
        return kms._resolve_key(named or iam_actions._kms_key_id_from_ciphertext(sealed))

    def resource(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        key = key_of(body) if service == "kms" else None
        return key["Arn"] if key else resource_of(service, method, path, headers, body, *rest)

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> Any:
        known = context_of(service, action, body, params)
        if service != "kms" or not (key := key_of(body)):
            return known
        pairs = json.loads(body).get("EncryptionContext") or {}
        aliases = [arn.split(":")[-1] for arn, key_id in kms._aliases.items() if key_id == key["KeyId"]]
        return {
            **known,
            "kms:ResourceAliases": aliases,
            "kms:EncryptionContextKeys": list(pairs),
            **{f"kms:EncryptionContext:{name}": value for name, value in pairs.items()},
        }

    iam_actions.extract_resource_arn, iam_actions.request_tag_context = resource, context


def authorize_sqs_batches() -> None:
    """Check a batch call of SQS as the single call's permission, as AWS does.

    AWS has no `sqs:SendMessageBatch` and its like: `sqs:SendMessage` covers both. A right policy was refused.
    """
    action_of = iam_actions.extract_iam_action

    def action(service: str, *request: Any) -> Any:
        named = action_of(service, *request)
        return named.removesuffix("Batch") if named and service == "sqs" else named

    iam_actions.extract_iam_action = action


def take_saved_queries() -> None:
    """Let a template declare saved queries of Logs Insights: MiniStack refused the stack.

    It keeps none of them, and its Insights could not run them.
    """

    def saved(name: str) -> tuple[str, dict[str, str]]:
        return name, {"QueryDefinitionId": name}

    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": lambda _logical, properties, _stack: saved(properties["Name"]),
        "update": lambda _physical, _old, properties, _stack: saved(properties["Name"]),
        "delete": lambda _physical, _properties: None,
    }


def main() -> None:
    lock = hold(sys.argv[1])
    isolate_functions(os.environ.pop("FUNCTION_PYTHON"))
    Snapshots(float(os.environ.pop("SNAPSHOT_SECONDS"))).install()
    hash_code_once()
    unpack_once()
    replay_streams()
    import_rest_apis()
    compress_nothing_when_told_so()
    make_functions_ready_at_once()
    shorten_schedules(float(os.environ.pop("MINUTE_SECONDS")))
    check_kms_like_aws()
    authorize_sqs_batches()
    take_saved_queries()
    sys.argv = sys.argv[:1]  # MiniStack reads the rest as its own options
    app.main()
    del lock


if __name__ == "__main__":
    main()
