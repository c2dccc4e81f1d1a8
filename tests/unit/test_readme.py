"""What the README says of the configuration is so."""

import re
from pathlib import Path

from chalicelib.core.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", README, re.MULTILINE))
    assert set(told) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if default == ():
            assert told[name.upper()].strip() == "none"
        elif default is not None:
            text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert told[name.upper()].strip() == f"`{text}`"


def test_every_folder_in_the_readme_exists() -> None:
    root = Path(__file__).parents[2]
    for path in re.findall(r"`((?:chalicelib|infra|tests|\.chalice)[\w./-]*)`", README):
        assert (root / path).exists(), path
