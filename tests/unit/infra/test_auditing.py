"""Queries that can be run and ask for what lines have, a role that reads their groups alone, a dashboard."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core import audit as audited
from chalicelib.core import logs
from chalicelib.documentation.guides import guide
from chalicelib.webhooks import delivery_log
from infra import audit, insights, stacks
from infra.audit import Saved
from infra.steps import Failed
from tests.unit.infra.test_deployment import CONFIG, TEMPLATE, of_type

RESOURCES: dict[str, dict[str, Any]] = stacks.load(audit.TEMPLATE)["Resources"]
QUERIES = audit.saved("prod")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OF_EVERY_LINE = {"@timestamp", "@log", "@message", "message", "level", "timestamp", "service", "location"}
LINES = {
    delivery_log.ATTEMPT: {*delivery_log.ATTEMPT_FIELDS},
    delivery_log.CLOSED: {*delivery_log.CLOSED_FIELDS},
    "audit": {*audited.FIELDS},
}
"""The fields of each kind of line that auditors read."""
DIRECTIVES: list[dict[str, Any]] = [*logs._METRICS, *delivery_log.METRICS]
METRICS = {
    (directive["Namespace"], metric["Name"]) for directive in DIRECTIVES for metric in directive["Metrics"]
}
ROLE = RESOURCES["AuditorRole"]["Properties"]


def asked(name: str) -> Saved:
    return QUERIES[name]


def test_the_questions_of_auditors_are_saved() -> None:
    assert set(QUERIES) == {
        "deliveries-of-an-institution", "failures-by-endpoint", "life-of-a-delivery", "response-times",
        "sent-about-an-event", "who-changed-what",
    }  # fmt: skip
    assert all(re.match(r"# [A-Z].+\n", query.text) for query in QUERIES.values())


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_asks_for_fields_that_its_lines_have(name: str) -> None:
    query = insights.parse(QUERIES[name].text)
    kinds = re.findall(r'message = "([^"]+)"', QUERIES[name].text) or list(LINES)
    assert set(kinds) <= set(LINES)
    assert query.read - OF_EVERY_LINE <= set().union(*(LINES[kind] for kind in kinds))


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_looks_into_log_groups_of_functions(name: str) -> None:
    functions = {"", *(f"-{function}" for function in CONFIG["lambda_functions"])}
    assert set(QUERIES[name].groups) <= {f"/aws/lambda/talktiko-prod{function}" for function in functions}


# The role


def test_the_auditor_may_read_the_log_groups_of_the_saved_queries_and_nothing_else() -> None:
    (policy,) = ROLE["Policies"]
    read, ask = policy["PolicyDocument"]["Statement"]
    assert {"ManagedPolicyArns", "PermissionsBoundary"} & set(ROLE) == set()
    account = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
    groups = {group.replace("prod", "${Stage}") for query in QUERIES.values() for group in query.groups}
    wanted = {f"{account}{group}{end}" for group in groups for end in ("", ":*")}
    assert {resource["Fn::Sub"] for resource in read["Resource"]} == wanted
    for action in (*read["Action"], *ask["Action"]):
        assert re.fullmatch(r"logs:(Get|Describe|Filter|Start|Stop)\w+", action)
    no_resources = {
        "GetQueryResults",
        "StopQuery",
        "DescribeQueries",
        "DescribeQueryDefinitions",
        "DescribeLogGroups",
    }
    assert {action.removeprefix("logs:") for action in ask["Action"]} == no_resources
    assert read["Effect"] == ask["Effect"] == "Allow"


def test_who_may_be_the_auditor_is_named_or_nobody_is() -> None:
    (trust,) = ROLE["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "AuditorArn"}}
    assert RESOURCES["AuditorRole"]["Condition"] == "AuditorIsNamed"
    pattern = stacks.load(audit.TEMPLATE)["Parameters"]["AuditorArn"]["AllowedPattern"]
    for arn in ("", "arn:aws:iam::123456789012:role/sso/Auditors", "arn:aws-us-gov:iam::123456789012:root"):
        assert re.fullmatch(pattern, arn), arn
    for wrong in ("*", "arn:aws:iam::*:root", "arn:aws:iam::123456789012:role/*", "123456789012"):
        assert not re.fullmatch(pattern, wrong), wrong


# The dashboard


def widgets() -> list[dict[str, Any]]:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return [widget["properties"] for widget in found]


def shown() -> list[tuple[str, ...]]:
    return [
        tuple(part for part in metric if isinstance(part, str))
        for widget in widgets()
        for metric in widget["metrics"]
    ]


def test_the_dashboard_shows_metrics_that_are_emitted_for_the_stage() -> None:
    ours = {metric for metric in shown() if metric[0].startswith("Talktiko")}
    assert {metric[:2] for metric in ours} == METRICS
    assert {metric[2:] for metric in ours} == {("stage", "${Stage}")}
    for directive in DIRECTIVES:
        assert ["stage"] in directive["Dimensions"]


def test_the_dashboard_shows_the_median_and_the_slowest() -> None:
    stats = {
        (metric[0], metric[-1]["stat"])
        for widget in widgets()
        for metric in widget["metrics"]
        if metric[1] == "duration_ms"
    }
    assert stats == {
        (space, stat) for space in ("Talktiko", "Talktiko/Webhooks") for stat in ("p50", "p95", "p99")
    }


def test_the_dashboard_shows_every_queue() -> None:
    queues = {queue["Properties"]["QueueName"]["Fn::Sub"] for queue in of_type("AWS::SQS::Queue").values()}
    seen = {metric[3] for metric in shown() if metric[0] == "AWS/SQS"}
    assert seen == queues
    ages = {metric[3] for metric in shown() if metric[1] == "ApproximateAgeOfOldestMessage"}
    assert ages == {queue for queue in queues if not queue.endswith("-dead-letters")}


def test_an_alarm_on_our_own_metric_is_on_one_that_is_emitted() -> None:
    alarms = [alarm["Properties"] for alarm in of_type("AWS::CloudWatch::Alarm").values()]
    own = [alarm for alarm in alarms if alarm["Namespace"].startswith("Talktiko")]
    assert [alarm["MetricName"] for alarm in own] == ["exhausted"]
    assert {(alarm["Namespace"], alarm["MetricName"]) for alarm in own} <= METRICS
    assert own[0]["Dimensions"] == [{"Name": "stage", "Value": {"Ref": "Stage"}}]
    assert TEMPLATE["WebhooksExhaustedAlarm"]["Properties"]["Statistic"] == "Average"


def test_the_stack_is_one_that_cloudformation_takes_in_a_request() -> None:
    assert len(stacks.dump(stacks.load(audit.TEMPLATE)).encode()) <= stacks.INLINE_LIMIT


# The guide

GUIDE = guide("auditing").markdown()


def test_the_guide_names_every_query_with_what_it_asks_for() -> None:
    table = GUIDE.partition("## Questions")[2].partition("\n## ")[0]
    told = dict(re.findall(r"\| `([a-z-]+)` \| (?:`(\w+)_…`)? ?\|$", table, re.MULTILINE))
    wanted = {
        name: (re.search(r"ID: (\w+)_…", query.about) or [None, ""])[1] for name, query in QUERIES.items()
    }
    assert told == wanted


def test_the_example_in_the_guide_asks_and_is_answered_as_the_queries_are_now() -> None:
    example = re.findall(r"```\n\$ make audit Q=([a-z-]+)(.*)\n(.+)\n", GUIDE)
    assert len(example) == 4
    for name, arguments, head in example:
        query = QUERIES[name]
        columns = insights.parse(query.text).columns
        shown_columns = head.split()
        assert [column for column in columns if column in shown_columns] == shown_columns
        assert ("ID=" in arguments) == ("ID:" in query.about)


def test_the_guide_tells_how_long_lines_are_kept() -> None:
    production = CONFIG["stages"]["prod"]["log_retention_in_days"]
    assert f"kept {production} days in production**, {CONFIG['log_retention_in_days']} days" in GUIDE


# Asking


def test_a_line_has_its_own_fields_and_those_of_insights() -> None:
    text = '{"message": "audit", "@log": "forged"}'
    assert audit.row("/aws/lambda/x", 1764072000123, text) == {
        "message": "audit",
        "@timestamp": "2025-11-25 12:00:00.123",
        "@log": "/aws/lambda/x",
        "@message": text,
    }
    for other in ("START RequestId: 1", "[1]", '{"cut off'):
        assert set(audit.row("g", 0, other)) == {"@timestamp", "@log", "@message"}


def test_an_id_takes_its_place_in_the_text() -> None:
    query = asked("life-of-a-delivery")
    assert query.asking("dlv_1").count('"dlv_1"') == 2
    assert '"ID"' not in query.asking("dlv_1")


@pytest.mark.parametrize(
    ("name", "identifier", "told"),
    [
        ("life-of-a-delivery", None, "ID= is missing"),
        ("response-times", "whk_1", "ID= is not asked for"),
        ("life-of-a-delivery", 'x" or message like "', "is no id"),
    ],
)
def test_a_wrong_id_is_refused(name: str, identifier: str | None, told: str) -> None:
    with pytest.raises(Failed, match=told):
        asked(name).asking(identifier)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90m", "2026-11-25T10:30:00+00:00"),
        ("24h", "2026-11-24T12:00:00+00:00"),
        ("7d", "2026-11-18T12:00:00+00:00"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00+00:00"),
    ],
)
def test_a_time_is_a_while_ago_or_a_moment(text: str, wanted: str) -> None:
    assert audit.moment(text, NOW) == datetime.fromisoformat(wanted)


@pytest.mark.parametrize("text", ["yesterday", "7", "2026-11-01T00:00:00", "-3d", ""])
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(Failed, match="SINCE="):
        audit.moment(text, NOW)


def test_an_answer_is_a_table_without_empty_columns() -> None:
    found = [{"a": 1, "c": "x"}, {"a": 22, "b": ["p", "q"]}]
    assert list(audit.table(["a", "b", "c", "d"], found)) == ["a   b    c", "1   -    x", "22  p,q  -"]
    assert list(audit.table(["a"], [])) == []


def test_an_unknown_query_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["everything"]) == 1
    assert all(f"Q={name}" in capsys.readouterr().out for name in list(QUERIES)[:1])
    assert audit.main([]) == 0
