"""Damage inputs of every format and read them: `python benchmarks/fuzz_readers.py --minutes 10`.

Each parser runs in a process of its own, two at a time, `--minutes` each. A finding is an exception
that is not ours, more than ten seconds or 3 GB for one small input, a dead process, or a file read
or named outside of the input's folder. Findings are printed with their seed; exit 1 if any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from fuzz_damage import mutate  # noqa: E402
from fuzz_formats import FORMATS  # noqa: E402

from phenolake.errors import PhenolakeError  # noqa: E402

#: Seconds of CPU time; ten times as many of wall time, since the machine may be busy.
HANG_S = 10
MEMORY_MB = 3000
#: A process that shows no new input for so long hangs where no alarm can reach it.
DEAD_S = 180
#: Stands for a sound file outside of the input's folder, which must never be read.
CANARY = "phenolake-canary"


@dataclass
class Tally:
    """What became of one parser's inputs."""

    name: str
    inputs: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)
    peak_mb: float = 0.0


_forbidden: list[str] = []
_opened: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note every file that is opened where the canary is."""
    if event in ("open", "sqlite3.connect") and isinstance(arguments[0], str | bytes):
        name = os.fsdecode(arguments[0])
        refuses_links = event == "open" and int(arguments[2] or 0) & os.O_NOFOLLOW  # type: ignore[call-overload]
        if refuses_links and os.path.islink(name):  # noqa: PTH114 (called for every open)
            return
        real = os.path.realpath(name.removeprefix("file:").partition("?")[0])
        if real in _forbidden:
            _opened.append(name)


def one(name: str, template: Path, seed: int, work: Path) -> tuple[str | None, bool]:
    """What went wrong with one damaged input, if anything did; and whether it was refused."""
    folder, canary = work / "screen", work / CANARY
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    mutate(folder, canary, random.Random(seed))
    _opened.clear()
    _set_timers(HANG_S)
    try:
        uris = FORMATS[name].read(folder, work)
    except PhenolakeError as error:
        return (None if str(error) else "an error without a sentence"), True
    except TimeoutError:
        return f"hang of more than {HANG_S} s", False
    except MemoryError:
        return "out of memory", False
    except Exception:
        return "crash\n" + traceback.format_exc(limit=-4), False
    finally:
        _set_timers(0)
    root = folder.resolve()
    outside = [uri for uri in uris if not Path(uri).resolve().is_relative_to(root)]
    # A link that leads outside may be named in a refusal; it may not be read.
    outside = [uri for uri in outside if not Path(uri).is_relative_to(folder)]
    if outside or _opened:
        return f"escape to {(outside or _opened)[0]}", False
    return None, False


def _set_timers(seconds: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)


def fuzz(name: str, minutes: float, seed: int, only: int | None, tally: Path | None) -> Tally:
    """Run one parser in this process; the tally is written before each input, with its seed."""

    def too_long(*_: object) -> None:
        raise TimeoutError

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGPROF, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY_MB * 1024**2, resource.RLIM_INFINITY))
    sys.addaudithook(_watch)
    found = Tally(name)
    with tempfile.TemporaryDirectory() as work:
        template = FORMATS[name].write(Path(work) / "template")
        largest = max(template.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else -1)
        shutil.copyfile(largest, Path(work) / CANARY)
        _forbidden.append(os.path.realpath(Path(work) / CANARY))
        start = time.monotonic()
        while time.monotonic() - start < 60 * minutes:
            current = only if only is not None else seed + found.inputs
            if tally:
                tally.write_text(json.dumps({**asdict(found), "seed": current}))
            wrong, refused = one(name, template, current, Path(work))
            found.inputs += 1
            found.refused += refused
            found.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            if found.peak_mb > MEMORY_MB:
                wrong = wrong or f"{found.peak_mb:.0f} MB"
            if wrong and wrong not in [text.partition(": ")[2] for text in found.findings]:
                found.findings.append(f"{name} seed {current}: {wrong}")
                print(found.findings[-1], flush=True)
            if only is not None or found.peak_mb > MEMORY_MB:
                break
    if tally:
        tally.write_text(json.dumps(asdict(found)))
    return found


@contextmanager
def _process(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, __file__, *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def supervised(name: str, minutes: float, seed: int) -> Tally:
    """Run one parser in processes of its own; one that dies or hangs is a finding, and goes on."""
    total = Tally(name)
    end = time.monotonic() + 60 * minutes
    while (left := end - time.monotonic()) > 1:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tally.json"
            arguments = ["--worker", name, str(file), "--seed", str(seed + total.inputs)]
            with _process([*arguments, "--minutes", str(left / 60)]) as process:
                seen, at = "", time.monotonic()
                while process.poll() is None and time.monotonic() - at < DEAD_S:
                    time.sleep(0.5)
                    text = file.read_text() if file.exists() else ""
                    if text != seen:
                        seen, at = text, time.monotonic()
                code = process.poll()
            record = json.loads(file.read_text() or "{}") if file.exists() else {}
        total.inputs += record.get("inputs", 0)
        total.refused += record.get("refused", 0)
        total.findings += record.get("findings", [])
        total.peak_mb = max(total.peak_mb, record.get("peak_mb", 0.0))
        if "seed" in record or not record:
            how = f"no answer for {DEAD_S} s" if code is None else f"process ended with {code}"
            total.findings.append(f"{name} seed {record.get('seed', seed)}: {how}")
            print(total.findings[-1], flush=True)
            total.inputs += 1
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="minutes per parser")
    parser.add_argument("--parsers", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--at-once", type=int, default=2, help="parsers that run side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run one seed of one parser and show it")
    parser.add_argument("--summary", type=Path, help="file for the summary table, Markdown")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        fuzz(given.worker[0], given.minutes, given.seed, None, Path(given.worker[1]))
        return
    if given.only is not None:
        sys.exit(bool(fuzz(given.parsers[0], 60, 0, given.only, None).findings))
    with ThreadPoolExecutor(given.at_once) as pool:
        tallies = list(
            pool.map(lambda name: supervised(name, given.minutes, given.seed), given.parsers)
        )
    lines = [
        "| parser | inputs | refused as a whole | findings | peak MB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.name} | {t.inputs:,} | {t.refused:,} | {len(t.findings)} | {t.peak_mb:,.0f} |"
        for t in tallies
    ]
    print("\n".join(lines))
    if given.summary:
        details = "\n\n".join(f for t in tallies for f in t.findings) or "No finding."
        title = f"{given.minutes:g} minutes per parser, seeds from {given.seed}"
        given.summary.write_text("\n".join([title, "", *lines, "", details, ""]))
    sys.exit(int(any(t.findings for t in tallies)))


if __name__ == "__main__":
    main()
