"""Requests to an object store, bytes and memory of a plate's run, by the size of the plate.

Each plate runs in a process of its own against moto's S3 server: `python benchmarks/object_store.py`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from chaos.fault_proxy import fault_proxy  # noqa: E402
from chaos.moto_store import BUCKET, ENVIRONMENT, moto_store  # noqa: E402
from plates import write_screen  # noqa: E402


def run(home: str, screen: str, lake_uri: str) -> None:
    """One plate in this process; prints how it went."""
    from scenario import failure_of, installation

    with installation(Path(home), lake_uri=lake_uri) as opened:
        name = opened.add(Path(screen))
        done = opened.run_plate(name, "P1")
        assert done.success, failure_of(done)
        rows = opened.lake.read("single_cell_features", columns=["Metadata_Well"]).height
    print(json.dumps({"cells": rows, "kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="*", default=[1, 12], help="in each of 4 wells")
    parser.add_argument("--again", type=int, default=3, help="turns of the same plate")
    chosen = parser.parse_args()
    print("| sites | turn | requests | of these PUT | cells | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        moto_store() as url,
        fault_proxy(url) as proxy,
    ):
        for sites in chosen.sites:
            screen = Path(folder, f"s{sites}")
            write_screen(screen, sites=sites)
            for turn in range(1, chosen.again + 1):
                proxy.requests.clear()
                told = subprocess.run(
                    [sys.executable, __file__, "--child", f"{folder}/home{sites}-{turn}",
                     str(screen), f"s3://{BUCKET}/lake{sites}"],
                    env={**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": proxy.url},
                    stdout=subprocess.PIPE, text=True, check=True,
                ).stdout  # fmt: skip
                seen = json.loads(told.splitlines()[-1])
                print(
                    f"| {4 * sites} | {turn} | {sum(proxy.requests.values())} | "
                    f"{proxy.requests['PUT']} | {seen['cells']} | {seen['kb'] / 1000:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run(*sys.argv[2:])
    else:
        main()
