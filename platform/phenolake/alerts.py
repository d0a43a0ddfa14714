"""Tell a webhook (a chat, a pager) that something needs a person; never more than a log line if it fails."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request

from phenolake.errors import ConfigurationError

_log = logging.getLogger(__name__)
_PATIENCE_S = 10


def send_alert(webhook: str, text: str, **facts: str) -> bool:
    """Post `{"text": ..., <facts>}` as JSON; tells whether the other side took it.

    The address may hold a token, so it is in no message. An empty one means that nobody listens.

    Raises
    ------
    ConfigurationError
        If the address is not http or https.
    """
    if not webhook:
        return False
    if not webhook.startswith(("http://", "https://")):
        raise ConfigurationError("PHENOLAKE_ALERT_WEBHOOK is not an http or https address")
    body = json.dumps({"text": text, **facts}).encode()
    request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):
            return True
    except (urllib.error.URLError, OSError) as error:
        # The text of the error may repeat the address.
        _log.warning("the alert webhook did not take %r (%s)", text, type(error).__name__)
        return False
