"""`openapi.json` keeps Spectral's and OWASP's rules; .spectral.yaml gives a reason beside each exception."""

import json
from pathlib import Path

from tests.contract.clients import DOCUMENT
from tests.contract.conftest import Tool

UNLIMITED = {"type": "string"}


def findings(node_tool: Tool, document: Path) -> list[str]:
    linted = node_tool(
        "spectral", "lint", str(document), "--ruleset", ".spectral.yaml", "--format", "json", "--quiet"
    )
    assert linted.returncode in (0, 1), linted.stderr
    return [f"{one['code']} at {'.'.join(map(str, one['path']))}" for one in json.loads(linted.stdout)]


def test_the_document_has_no_findings(node_tool: Tool) -> None:
    assert findings(node_tool, DOCUMENT) == []


def test_a_planted_fault_is_found(node_tool: Tool, tmp_path: Path) -> None:
    document = json.loads(DOCUMENT.read_text())
    document["components"]["schemas"]["Problem"]["properties"]["detail"] = UNLIMITED
    spoiled = tmp_path / "openapi.json"
    spoiled.write_text(json.dumps(document))
    where = "components.schemas.Problem.properties.detail"
    assert f"owasp:api4:2023-string-limit at {where}" in findings(node_tool, spoiled)
