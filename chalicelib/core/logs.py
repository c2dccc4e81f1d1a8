"""Structured logs: one JSON object a line, an event name in `message`, facts as fields.

Never in a log: secrets, signatures, tokens, e-mail addresses, names, answers.
"""

from aws_lambda_powertools import Logger

from chalicelib.core.settings import settings

log = Logger(service="talktiko", level=settings().log_level, utc=True, log_record_order=["level", "message"])
