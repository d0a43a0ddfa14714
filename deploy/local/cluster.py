"""Everything that deploy/compose.yaml starts, on one machine without containers, and two Ray nodes.

`python deploy/local/cluster.py FOLDER` runs until Ctrl-C; logs are in FOLDER/logs. With `--namespaces`
each Ray node has a network of its own, as a machine has. Needs Postgres from the operating system,
and `pip install 'phenolake[s3,cluster,test]'`.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

from namespaces import Namespaces  # noqa: E402

BUCKET = "phenolake"
#: Access to a server that exists as long as this process does.
KEY, SECRET = "local", "local-secret"
PATIENCE_S = 240
#: What KubeRay or compose would do with a node that ended, looked at so often.
LOOK_S = 1.0
_JSON_LOG = ("--log-format", "json")


@dataclass
class Cluster:
    """The servers of one folder; `start` brings them up in order, `stop` ends them all.

    Parameters
    ----------
    namespaces
        Give each of the two Ray nodes a network namespace; the head, without cores, stays here.
    supervised
        Start a Ray node that ended again, as Kubernetes does with a pod.
    """

    folder: Path
    namespaces: bool = False
    supervised: bool = True
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    users: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        names = ("postgres", "store", "mlflow", "code", "webserver", "ray", "ray_client", "metrics")
        self.ports = {name: free_port() for name in names}
        self._networks = Namespaces(2) if self.namespaces else None
        # Ray's sockets need a short path.
        self._ray_folder = Path(tempfile.mkdtemp(prefix="phenolake-ray-", dir="/tmp"))
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._supervise, daemon=True)

    @property
    def host(self) -> str:
        """Address at which this machine is reached by the Ray nodes."""
        return self._networks.host if self._networks else "127.0.0.1"

    @property
    def nodes(self) -> list[str]:
        """Names of the Ray nodes beside the head; the head works too unless it has namespaces."""
        return ["ray-1", "ray-2"] if self._networks else ["ray-1"]

    @property
    def webserver(self) -> str:
        """URL of Dagster's pages and GraphQL."""
        return f"http://127.0.0.1:{self.ports['webserver']}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the cluster, and a command that talks to it, has in its environment."""
        store = f"http://{self.host}:{self.ports['store']}"
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "DAGSTER_POSTGRES_PASSWORD": SECRET,
            "PHENOLAKE_HOME": str(self.folder),
            "PHENOLAKE_LAKE_URI": f"s3://{BUCKET}/tables",
            "PHENOLAKE_MLFLOW_URI": f"http://127.0.0.1:{self.ports['mlflow']}",
            "PHENOLAKE_RAY_ADDRESS": f"{self.host}:{self.ports['ray']}",
            "PHENOLAKE_SEGMENTATION": "classical",
            "AWS_ENDPOINT_URL": store,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Two runs share two cores: a worker that waits for its turn must not be ended, since a
            # new one takes longer to import the engine than a field takes.
            "RAY_idle_worker_killing_time_threshold_ms": "600000",
            "GRPC_ENABLE_FORK_SUPPORT": "0",  # gRPC's fork handlers may end a client's server
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": SECRET * 3,  # it has to be long
        }

    def start(self) -> None:
        """Start every server and wait until each answers."""
        if self._networks:
            self._networks.make()
        self._start_postgres()
        self._run("store", "moto_server", "-H", self.host, "-p", self.ports["store"])
        self._await("store", lambda: answers(self.environment["AWS_ENDPOINT_URL"]))
        self._make_bucket()
        self._start_ray()
        self._run(
            "mlflow", "mlflow", "server", "--host", "127.0.0.1", "--port", self.ports["mlflow"],
            "--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination", self.folder / "mlflow-artifacts",
        )  # fmt: skip
        self._write_instance()
        # Runs are started here, so that webserver and daemon can restart without ending them.
        self._run(
            "code", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", self.ports["code"],
            "-m", "phenolake.definitions", *_JSON_LOG,
        )  # fmt: skip
        self._await("code", lambda: listens(self.ports["code"]))
        workspace = self.folder / "dagster" / "workspace.yaml"
        self._run(
            "webserver", "dagster-webserver", "-h", "127.0.0.1", "-p", self.ports["webserver"],
            "-w", workspace, *_JSON_LOG,
        )  # fmt: skip
        self._run("daemon", "dagster-daemon", "run", "-w", workspace, *_JSON_LOG)
        self._await("webserver", lambda: answers(f"{self.webserver}/server_info"))

    def restart(self, name: str, *, kill: bool = False) -> None:
        """End one server, as a machine or an operator would, and start it as it was."""
        process = self.processes[name]
        os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        process.wait(60)
        self._run_again(name)
        port = self.ports.get(name)
        if port is not None:
            self._await(name, lambda: listens(port))

    def kill_node(self, name: str) -> None:
        """End a Ray node at once; `supervised` says whether it comes back."""
        if self._networks:
            self._networks.kill(self._network_of(name))
        else:
            os.killpg(self.processes[name].pid, signal.SIGKILL)

    def stop(self) -> None:
        """End every process, the last started first, and remove the networks."""
        self._stopping.set()
        if self._watch.is_alive():
            self._watch.join()
        for name, process in reversed(self.processes.items()):
            if process.poll() is None:
                # Postgres waits for its clients after SIGTERM.
                how = signal.SIGINT if name == "postgres" else signal.SIGTERM
                os.killpg(process.pid, how)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        if self._networks:
            self._networks.remove()
        shutil.rmtree(self._ray_folder, ignore_errors=True)

    def _run(self, name: str, *command: object, user: str | None = None) -> None:
        program, *arguments = map(str, command)
        self.users[name] = user
        path = shutil.which(program, path=self.environment["PATH"]) or program
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [path, *arguments],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )

    def _run_again(self, name: str) -> None:
        self._run(name, *self.processes[name].args, user=self.users[name])  # type: ignore[misc]

    def _supervise(self) -> None:
        while not self._stopping.wait(LOOK_S):
            for name in self.nodes:
                if self.processes[name].poll() is not None:
                    self._run_again(name)

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not ready():
            if self.processes[name].poll() is not None or time.monotonic() > until:
                log = (self.folder / "logs" / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} did not come up:\n{log[-2000:]}")
            time.sleep(0.5)

    def _start_postgres(self) -> None:
        # Postgres refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        data = self.folder / "postgres"
        if not data.exists():
            data.mkdir(mode=0o700)
            password = self.folder / "postgres-password"
            password.write_text(SECRET)
            for place in (data, password):
                shutil.chown(place, user)
            subprocess.run(
                [postgres_program("initdb"), "-D", str(data), "-U", "phenolake", "-A", "scram-sha-256",
                 f"--pwfile={password}"],
                check=True, user=user, cwd="/", stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self._run(
            "postgres", postgres_program("postgres"), "-D", data, "-p", self.ports["postgres"],
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", user=user,
        )  # fmt: skip
        self._await("postgres", lambda: listens(self.ports["postgres"]))
        subprocess.run(
            [postgres_program("psql"), "-h", "127.0.0.1", "-p", str(self.ports["postgres"]),
             "-U", "phenolake", "-d", "postgres", "-c", "create database dagster"],
            env={**self.environment, "PGPASSWORD": SECRET}, check=False, capture_output=True,
        )  # fmt: skip

    def _start_ray(self) -> None:
        """Two nodes of one core; without namespaces one of them is the head."""
        common = ["--block", "--object-store-memory=100000000"]
        head = [
            "ray", "start", "--head", f"--port={self.ports['ray']}",
            f"--ray-client-server-port={self.ports['ray_client']}", "--include-dashboard=false",
            f"--node-ip-address={self.host}", f"--temp-dir={self._ray_folder}", *common,
        ]  # fmt: skip
        self._run("ray-head", *head, f"--num-cpus={0 if self._networks else 1}")
        self._await("ray-head", lambda: listens(self.ports["ray"], self.host))
        worker = ["ray", "start", f"--address={self.host}:{self.ports['ray']}", "--num-cpus=1"]
        for name in self.nodes:
            if self._networks:
                network = self._network_of(name)
                address = f"--node-ip-address={self._networks.address(network)}"
                self._run(name, "ip", "netns", "exec", network, *worker, *common, address)
            else:
                self._run(name, *worker, *common)
        if self.supervised:
            self._watch.start()

    def _network_of(self, node: str) -> str:
        assert self._networks is not None
        return self._networks.names[self.nodes.index(node)]

    def _make_bucket(self) -> None:
        import boto3

        client = boto3.client(
            "s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        )  # fmt: skip
        client.create_bucket(Bucket=BUCKET)

    def _write_instance(self) -> None:
        """Dagster's instance and workspace as in deploy/, but with this machine's servers."""
        instance = yaml.safe_load((HERE.parent / "dagster.yaml").read_text(encoding="utf-8"))
        instance["storage"]["postgres"]["postgres_db"] |= {
            "hostname": "127.0.0.1",
            "port": self.ports["postgres"],
        }
        home = self.folder / "dagster"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        workspace = yaml.safe_load((HERE.parent / "workspace.yaml").read_text(encoding="utf-8"))
        server = workspace["load_from"][0]["grpc_server"]
        server |= {"host": "127.0.0.1", "port": self.ports["code"]}
        (home / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something listens on the port."""
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def postgres_program(name: str) -> str:
    """Path of one of Postgres' programs, which Debian keeps out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = shutil.which(name) or (str(found[-1]) if found else None)
    if path is None:
        raise RuntimeError("Postgres is not installed (apt install postgresql)")
    return path


def main() -> None:
    """Run a cluster until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--namespaces", action="store_true", help="a network for each Ray node")
    options = parser.parse_args()
    cluster = Cluster(options.folder, namespaces=options.namespaces)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster.start()
        print(f"Dagster {cluster.webserver}   MLflow {cluster.environment['PHENOLAKE_MLFLOW_URI']}")
        print(f"Drop plates into {cluster.folder}/inbox/<screen>/<plate>/. Press Ctrl-C to stop.")
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
