"""How a receiver verifies a delivery, in several languages: each file is shown as it is, and tested."""

from pathlib import Path
from typing import NamedTuple

TOLERANCE_SECONDS = 300
"""How far a delivery's timestamp may be from the receiver's clock."""


class Sample(NamedTuple):
    """One language's file, and the name of its section."""

    language: str
    file: str
    anchor: str

    @property
    def path(self) -> Path:
        return Path(__file__).with_name(self.file)

    def code(self) -> str:
        return self.path.read_text()


SAMPLES = (
    Sample("PHP", "verify.php", "php"),
    Sample("Python", "verify.py", "python"),
    Sample("Node", "verify.mjs", "node"),
    Sample("Ruby", "verify.rb", "ruby"),
    Sample("Go", "verify.go", "go"),
    Sample("Java", "Verify.java", "java"),
    Sample("C#", "Verify.cs", "c-sharp"),
)
