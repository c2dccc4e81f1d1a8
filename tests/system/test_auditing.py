"""What infra/auditing.yaml makes, where IAM is enforced."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import audit
from infra.local.cloud import REGION
from tests.conftest import LocalCloud

ROLE = "talktiko-local-auditor"


@pytest.fixture
def auditor(local_cloud: LocalCloud) -> Callable[[str], Any]:
    """Clients of whoever has assumed the auditor's role."""
    import boto3

    arn = local_cloud.client("iam").get_role(RoleName=ROLE)["Role"]["Arn"]
    assumed = local_cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="audit")["Credentials"]
    session = boto3.Session(
        assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], region_name=REGION
    )
    make: Any = session.client
    return lambda service: make(service, endpoint_url=local_cloud.endpoint_url)


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def test_an_auditor_reads_what_the_saved_queries_are_about(auditor: Callable[[str], Any]) -> None:
    logs = auditor("logs")
    for group in {group for query in audit.saved("local").values() for group in query.groups}:
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"][:1]:
            logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
        logs.filter_log_events(logGroupName=group)
        asked = logs.start_query(logGroupName=group, startTime=0, endTime=1, queryString="fields @message")
        logs.get_query_results(queryId=asked["queryId"])


def test_an_auditor_reads_nothing_else_and_changes_nothing(auditor: Callable[[str], Any]) -> None:
    logs, other = auditor("logs"), "/aws/lambda/talktiko-local-make-export"
    read = "/aws/lambda/talktiko-local-deliver"
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (logs.filter_log_events, {"logGroupName": other}),
        (logs.describe_log_streams, {"logGroupName": other}),
        (logs.start_query, {"logGroupName": other, "startTime": 0, "endTime": 1, "queryString": "fields a"}),
        (logs.delete_log_group, {"logGroupName": read}),
        (logs.put_retention_policy, {"logGroupName": read, "retentionInDays": 1}),
        (logs.create_log_stream, {"logGroupName": read, "logStreamName": "forged"}),
        (auditor("dynamodb").scan, {"TableName": "talktiko-local-webhooks"}),
        (auditor("lambda").invoke, {"FunctionName": "talktiko-local-deliver"}),
        (auditor("sqs").list_queues, {}),
    ]
    for call, parameters in calls:
        assert "AccessDenied" in refused(call, **parameters), (call.__name__, parameters)


def test_the_dashboard_is_there(local_cloud: LocalCloud) -> None:
    dashboards = local_cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]
    assert [dashboard["DashboardName"] for dashboard in dashboards] == ["talktiko-local"]
