"""Log lines of runs as JSON objects, each with screen, plate, run and step, for log collectors.

Dagster is told of it in `dagster.yaml`: python_logs, dagster_handler_config, as in `deploy/`.
"""

import json
import logging
from datetime import UTC, datetime

from phenolake_assets.watching import place_of


class JsonLines(logging.StreamHandler):
    """Writes one JSON object per line to standard error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record of Dagster's log."""
        meta = getattr(record, "dagster_meta", None) or {}
        partition = (meta.get("job_tags") or {}).get("dagster/partition")
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": meta.get("orig_message") or record.getMessage(),
            "run_id": meta.get("run_id"),
            "job": meta.get("job_name"),
            "step": meta.get("step_key"),
            **(place_of(partition) if partition else {}),
        }
        return json.dumps({name: value for name, value in line.items() if value})
