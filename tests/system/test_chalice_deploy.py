"""The real `chalice deploy`, and all that `make deploy` does around it, in a local cloud of its own.

Stage `local`, since it alone may send webhooks to this machine; nothing else of it differs from prod.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.demo.load import load
from infra.local.cloud import REGION, REPOSITORY, Cloud, free_port, reset, start
from tests.receiver import Receiver, receiving
from tests.system import poison
from tests.system.client import Client
from tests.system.local_cloud.toys import eventually, log_text

SCHEDULED = ("sweep-outbox", "sweep-deliveries", "sweep-exports", "sweep-publications")
"""Every minute."""
QUEUES = (
    "data-requests",
    "events",
    "exports",
    "standings",
    "webhook-deliveries",
    "webhook-recoveries",
)
NEW_ROUTE = """

@app.route("/api/new")
def new() -> dict[str, str]:
    return {"data": "new"}
"""


@dataclass
class Ops:
    """Someone at a shell, in a copy of the project, with credentials of the local cloud."""

    cloud: Cloud
    project: Path

    @property
    def environment(self) -> dict[str, str]:
        shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **shell,
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "API_URL": self.cloud.endpoint_url + "/_aws/execute-api/{api}/live",
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        program, *arguments = command
        return subprocess.Popen(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    def make_deploy(self, stage: str = "local") -> str:
        return self.run("python", "-m", "infra.deploy", "deploy", stage)

    def deploy_until(self, told: str) -> None:
        """The same, dead as soon as it has told this."""
        process = self.start("python", "-m", "infra.deploy", "deploy", "local")
        assert process.stdout
        for line in process.stdout:
            if told in line:
                break
        else:
            raise AssertionError(f"it never told: {told}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def apis(self) -> list[str]:
        return [api["id"] for api in self.cloud.client("apigateway").get_rest_apis()["items"]]

    def mappings(self) -> list[str]:
        """The queue of each mapping, in order."""
        found = self.cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        return sorted(mapping["EventSourceArn"].rpartition("talktiko-local-")[2] for mapping in found)

    @property
    def base_url(self) -> str:
        (api,) = self.apis()
        return self.environment["API_URL"].format(api=api)


@pytest.fixture(scope="module")
def ops(states: Path) -> Iterator[Ops]:
    """A shell in a copy of the project, and a cloud with a stage's data where a minute lasts ten seconds."""
    cloud = Cloud(states / "deployed", free_port(), snapshot_seconds=0, minute_seconds=10)
    project = states / "project"
    for name in (".chalice", "chalicelib", "infra"):
        ignored = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
        shutil.copytree(REPOSITORY / name, project / name, ignore=ignored)
    for name in ("app.py", "requirements.txt"):
        shutil.copy2(REPOSITORY / name, project / name)
    try:
        start(cloud)
        yield Ops(cloud, project)
    finally:
        reset(cloud)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def accounts(ops: Ops) -> list[dict[str, str]]:
    """The demo data's, loaded once the stack is there."""
    return load(ops.cloud)


def sign_in(ops: Ops, accounts: list[dict[str, str]], role: str) -> Client:
    anyone = Client(ops.base_url)
    account = next(one for one in accounts if one["role"] == role)
    wanted = {name: account[name] for name in ("email", "password", "institution_id")}
    return Client(ops.base_url, anyone.call("POST", "/api/auth/sign-in", wanted).body["data"]["token"])


def runs(ops: Ops, function: str) -> int:
    return log_text(ops.cloud, f"talktiko-local-{function}").count("schedule.started")


def assert_at_work(ops: Ops, accounts: list[dict[str, str]], receiver: Receiver) -> None:
    """A request is answered, its event leaves as a webhook, schedules run."""
    before = {name: runs(ops, name) for name in SCHEDULED}
    owner, learner = (sign_in(ops, accounts, role) for role in ("owner", "learner"))
    events = {"url": receiver.url, "events": ["exercise.answered"]}
    hook = owner.call("POST", "/api/integrations/webhooks", events)
    assert hook.status == 201, hook.body
    path = f"/api/integrations/webhooks/{hook.body['data']['id']}"
    item = learner.get("/api/trainingItems?per_page=1").body["data"][0]["id"]
    attempt = learner.call(
        "POST", f"/api/trainingItems/{item}/attempts", {"answer": None, "duration_ms": 900}
    )
    assert attempt.status == 201, attempt.body

    def delivered() -> bool:
        return [row["status"] for row in owner.get(f"{path}/deliveries").body["data"]] == ["delivered"]

    eventually(delivered, "the event's delivery", 30)
    eventually(lambda: all(runs(ops, name) > before[name] for name in SCHEDULED), "every schedule", 30)
    assert owner.call("DELETE", path).status == 204
    assert ops.mappings() == list(QUEUES), "one mapping for each queue"


def statements(ops: Ops) -> dict[str, int]:
    """How many things each function's own policy allows others."""
    lambda_ = ops.cloud.client("lambda")
    names = ["talktiko-local", *(f"talktiko-local-{name}" for name in SCHEDULED)]
    policies = {name: json.loads(lambda_.get_policy(FunctionName=name)["Policy"]) for name in names}
    return {name: len(policy["Statement"]) for name, policy in policies.items()}


def test_a_first_deploy_that_died_midway_is_repeated(
    ops: Ops, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    ops.deploy_until("Creating lambda function: talktiko-local-sweep-deliveries")
    assert len(ops.mappings()) >= 1
    assert ops.apis() == []

    told = ops.make_deploy()

    steps = ("stack", "reading what is deployed", "chalice deploy", "gateway", "auditing", "first request")
    assert_in_order(told, *steps)
    roles = [role["RoleName"] for role in ops.cloud.client("iam").list_roles()["Roles"]]
    assert "talktiko-local-auditor" not in roles, "nobody was named"
    assert_at_work(ops, request.getfixturevalue("accounts"), receiver)
    traced = Client(ops.base_url).call("TRACE", "/api/courses")
    assert (traced.status, traced.body["title"]) == (404, "Not Found"), "the gateway's own answer is ours"


def assert_in_order(text: str, *parts: str) -> None:
    places = [text.index(part) for part in parts]
    assert places == sorted(places), text


def test_poison_drags_no_neighbour_to_the_dead_letters(ops: Ops) -> None:
    """Chalice asks Lambda for no partial responses, unlike the packaged template."""
    found, together = poison.dead_letters(ops.cloud)
    assert found == ["poison"]
    assert together > 1


def test_an_update_brings_a_new_route_from_a_machine_without_a_record(
    ops: Ops, accounts: list[dict[str, str]], receiver: Receiver
) -> None:
    before, permissions = ops.apis(), statements(ops)
    with (ops.project / "app.py").open("a") as app:
        app.write(NEW_ROUTE)
    shutil.rmtree(ops.project / ".chalice" / "deployed")
    lambda_ = ops.cloud.client("lambda")
    found = lambda_.list_event_source_mappings(FunctionName="talktiko-local-fan-out")["EventSourceMappings"][
        0
    ]
    lambda_.create_event_source_mapping(
        FunctionName=found["FunctionArn"], EventSourceArn=found["EventSourceArn"], BatchSize=1
    )

    ops.deploy_until("what the gateway itself answers")
    ops.make_deploy()

    assert ops.apis() == before
    assert Client(ops.base_url).get("/api/new").body == {"data": "new"}
    assert_at_work(ops, accounts, receiver)
    assert statements(ops) == permissions


def test_a_plain_chalice_deploy_of_what_is_deployed_changes_nothing(
    ops: Ops, accounts: list[dict[str, str]], receiver: Receiver
) -> None:
    before, permissions = ops.apis(), statements(ops)
    built = ops.project / "build" / "local" / ".chalice" / "deployments"
    shutil.copytree(built, ops.project / ".chalice" / "deployments")
    ops.run("chalice", "deploy", "--stage", "local")
    assert (ops.apis(), statements(ops)) == (before, permissions)
    assert_at_work(ops, accounts, receiver)


def test_make_package_tells_sizes_and_how_to_deploy_them(ops: Ops) -> None:
    told = ops.run("python", "-m", "infra.deploy", "package", "local")
    zipped = {
        name: float(size) for name, size in re.findall(r"^(\S+\.zip) +([\d.]+) MB zipped", told, re.MULTILINE)
    }
    assert set(zipped) == {"deployment.zip", "layer-deployment.zip"}
    assert 1 < sum(zipped.values()) < 50
    commands = told.replace("\\\n", " ")
    assert len(re.findall(r"^  aws cloudformation (?:deploy|package) ", commands, re.MULTILINE)) == 4
    for path in re.findall(r"--template-file (\S+(?:sam\.json|\.yaml))", commands):
        assert (ops.project / path).exists()


def test_a_stage_that_cloudformation_deployed_is_left_to_it(ops: Ops) -> None:
    cloudformation = ops.cloud.client("cloudformation")
    template = json.dumps({"Resources": {"Other": {"Type": "AWS::SQS::Queue"}}})
    cloudformation.create_stack(StackName="talktiko-local-api", TemplateBody=template)
    process = ops.start("python", "-m", "infra.deploy", "deploy", "local")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "CloudFormation deployed this stage" in output
    cloudformation.delete_stack(StackName="talktiko-local-api")


def test_chalice_delete_leaves_nothing_but_logs_and_data(ops: Ops) -> None:
    ops.run("chalice", "delete", "--stage", "local")
    left = {
        "functions": ops.cloud.client("lambda").list_functions()["Functions"],
        "layers": ops.cloud.client("lambda").list_layers()["Layers"],
        "mappings": ops.mappings(),
        "apis": ops.apis(),
        "roles": ops.cloud.client("iam").list_roles()["Roles"],
        "rules": ops.cloud.client("events").list_rules()["Rules"],
    }
    assert left == {what: [] for what in left}
    groups = ops.cloud.client("logs").describe_log_groups()["logGroups"]
    assert groups
    assert all(group["logGroupName"].startswith("/aws/lambda/talktiko-local") for group in groups)
    assert "talktiko-local-accounts" in ops.cloud.client("dynamodb").list_tables()["TableNames"]


@pytest.mark.proof
def test_dev_and_prod_stand_side_by_side_and_tracing_has_one_switch(ops: Ops) -> None:
    lambda_, config = ops.cloud.client("lambda"), ops.project / ".chalice" / "config.json"

    def traced() -> dict[str, str]:
        found = lambda_.list_functions()["Functions"]
        return {one["FunctionName"]: one["TracingConfig"]["Mode"] for one in found}

    off = config.read_text()
    config.write_text(off.replace('"xray": false', '"xray": true'))
    ops.make_deploy("prod")
    assert set(traced().values()) == {"Active"}
    config.write_text(off)
    ops.make_deploy("dev")
    ops.make_deploy("prod")

    assert set(traced().values()) == {"PassThrough"}
    assert len(ops.apis()) == 2
    assert len(ops.mappings()) == 2 * len(QUEUES)
    stack = ops.cloud.client("cloudformation").describe_stacks(StackName="talktiko-prod")["Stacks"][0]
    assert stack["EnableTerminationProtection"]
    tables = ops.cloud.client("dynamodb")
    protected = {
        stage: tables.describe_table(TableName=f"talktiko-{stage}-tokens")["Table"][
            "DeletionProtectionEnabled"
        ]
        for stage in ("dev", "prod")
    }
    assert protected == {"dev": False, "prod": True}
    for stage, days in (("dev", 30), ("prod", 400)):
        prefix = f"/aws/lambda/talktiko-{stage}"
        groups = ops.cloud.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        assert {group["retentionInDays"] for group in groups} == {days}
