"""What publications leave behind, swept by the minute."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.workers import schedule

jobs = Blueprint(__name__)


@schedule(jobs, "rate(1 minute)")
def sweep_publications() -> None:
    """Complete publications whose process died or had no time left."""
    from chalicelib.catalogue import publishing  # on few paths

    swept = publishing.sweep(clock.now())
    log.info("catalogue.swept", publications=swept)
