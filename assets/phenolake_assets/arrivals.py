"""How the watching of the inbox goes: when its sensor last looked, and which plates are on their way."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData, TickStatus

from phenolake.screens.landing import LandingState

SENSOR = "new_plates"
HOUR = 3600.0
#: A sensor ticks every 30 s; a scan of a large inbox on a slow share takes minutes.
_SILENCE_S = 900.0


@dataclass(frozen=True)
class Arrivals:
    """What the inbox sensor knew at its last tick.

    Attributes
    ----------
    silent_s
        Seconds since that tick; None where the sensor never ran or was turned off.
    failure
        Why the tick failed; empty when it did not.
    waiting
        Seconds that each plate has been on its way for, and what it lacks.
    """

    silent_s: float | None = None
    failure: str = ""
    waiting: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def longest_s(self) -> float:
        """Seconds that the oldest of these plates has been on its way for."""
        return max((seconds for seconds, _ in self.waiting.values()), default=0.0)

    def problem(self, patience_s: float, daemon_silent_s: float | None) -> str:
        """What a person should look at, as one sentence; empty when all is well.

        A daemon that was stopped is no problem of the inbox: on a laptop it stops every evening.
        """
        if self.failure:
            return f"the inbox could not be looked at: {self.failure}"
        daemon_works = daemon_silent_s is not None and daemon_silent_s < _SILENCE_S
        if daemon_works and self.silent_s is not None and self.silent_s > _SILENCE_S:
            return (
                f"the inbox was last looked at {self.silent_s / 60:.0f} min ago, though the daemon "
                f"runs; see the ticks of the sensor {SENSOR}"
            )
        late = {key: told for key, told in self.waiting.items() if told[0] > patience_s}
        if not late:
            return ""
        key, (seconds, lacks) = max(late.items(), key=lambda item: item[1][0])
        others = f", and {len(late) - 1} more plates" if len(late) > 1 else ""
        return (
            f"plate {key} has been on its way for {seconds / HOUR:.1f} h ({lacks}){others}; "
            "did its copy stop?"
        )


def arrivals(instance: dg.DagsterInstance, now: float) -> Arrivals:
    """Read the newest tick of the inbox sensor and what it remembers."""
    if instance.schedule_storage is None:  # an instance in memory
        return Arrivals()
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if state.name != SENSOR or not isinstance(data, SensorInstigatorData):
            continue
        if not state.is_running or data.last_tick_timestamp is None:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        failed = bool(ticks) and ticks[0].status is TickStatus.FAILURE
        error = ticks[0].error if failed else None
        waiting = LandingState.from_text(data.cursor).waiting
        return Arrivals(
            now - data.last_tick_timestamp,
            error.message.strip() if error else "",
            {key: (now - since, lacks) for key, (since, lacks) in waiting.items()},
        )
    return Arrivals()
