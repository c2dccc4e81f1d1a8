"""How a receiver verifies a delivery, in the languages of the guide: each file is shown as it is, and tested."""

from pathlib import Path
from typing import NamedTuple

TOLERANCE_SECONDS = 300
"""How far a delivery's timestamp may be from the receiver's clock."""


class Sample(NamedTuple):
    """One language's file, and the mark of its code block."""

    language: str
    file: str
    mark: str

    @property
    def path(self) -> Path:
        return Path(__file__).with_name(self.file)

    def code(self) -> str:
        return self.path.read_text()


SAMPLES = (
    Sample("PHP", "verify.php", "php"),
    Sample("Python", "verify.py", "python"),
    Sample("Node", "verify.mjs", "javascript"),
    Sample("Ruby", "verify.rb", "ruby"),
    Sample("Go", "verify.go", "go"),
    Sample("Java", "Verify.java", "java"),
    Sample("C#", "Verify.cs", "csharp"),
)
