"""The servers that are measured, each on loopback or a Unix socket, ended when the `with` block ends."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from . import processes
from .context import BenchFailed, Context


class Server:
    """A process with a directory of its own."""

    def __init__(self, context: Context, name: str):
        self.context = context
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=context.work))
        self.directory.chmod(0o755)
        self.log = self.directory / "log"
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            processes.stop(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)


class Lazaret(Server):
    """`lazaret serve`. Settings as in --set; `signatures` None: the built-in test set; a missing directory: no engine."""

    def __init__(self, context: Context, signatures: Path | None, settings: dict | None = None,
                 environment: dict | None = None, wait_for: str = "/readyz"):
        super().__init__(context, "lazaret")
        self._signatures = signatures
        self._settings = settings or {}
        self._environment = environment or {}
        self._wait_for = wait_for
        self.port = 0

    def start(self) -> None:
        self.port = processes.free_port()
        command = [self.context.program("lazaret"), "serve", "--data", self.directory / "data",
                   "--listen", f"127.0.0.1:{self.port}", "--log-level", "warning"]
        command += ["--test-signatures"] if self._signatures is None else ["--signatures", self._signatures]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value}"]
        self.process = processes.start(command, self.log, env={**os.environ, **self._environment})
        processes.wait_until(lambda: self.get(self._wait_for)[0] == 200, self.process, self.log)

    def restart(self) -> None:
        """The same with the same data, as after an update."""
        processes.stop(self.process)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, series: str) -> float:
        """The sum over all labels when `series` is a bare name."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith((series + " ", series + "{")):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def scans(self) -> int:
        return round(self.metric("lazaret_scan_duration_seconds_count"))

    def own_cpu_seconds(self) -> float:
        """Without the engine."""
        return processes.cpu_seconds(self.pid, with_children=False)

    def parts(self) -> dict[str, int]:
        """Process ids by what they are."""
        found = {"server": self.pid}
        scanners = 0
        for pid in processes.tree(self.pid)[1:]:
            try:
                parent = processes.parent(pid)
            except OSError:  # it has ended meanwhile
                continue
            if parent == self.pid:
                found["zygote"] = pid
            else:
                scanners += 1
                found[f"scanner {scanners}"] = pid
        return found


class AnyHttpServer(Server):
    """One that is ready when it takes connections; started as `_command` says, on a port of its own."""

    def start(self) -> None:
        self.port = processes.free_port()
        self.process = processes.start(self._command(), self.log)
        processes.wait_until(self._answers, self.process, self.log)

    def _command(self) -> list:
        raise NotImplementedError

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


# The limits of Lazaret's default configuration, in clamd's words, so that both look into the same things.
CLAMD_LIMITS = {"MaxFileSize": "2000M", "MaxScanSize": "4000M", "MaxRecursion": "17", "MaxFiles": "10000", "MaxEmbeddedPE": "2000M",
                "MaxHTMLNormalize": "2000M", "MaxHTMLNoTags": "2000M", "MaxScriptNormalize": "2000M", "MaxZipTypeRcg": "2000M",
                "PCREMaxFileSize": "2000M", "MaxScanTime": "120000", "AlertExceedsMax": "yes", "AlertEncrypted": "yes",
                "SelfCheck": "0", "StreamMaxLength": "2000M", "MaxQueue": "200"}


class Clamd(Server):
    def __init__(self, context: Context, signatures: Path, threads: int, cache: bool):
        super().__init__(context, "clamd")
        self._signatures, self._threads, self._cache = signatures, threads, cache
        self.socket = self.directory / "clamd.sock"
        self.config = self.directory / "clamd.conf"

    def start(self) -> None:
        (self.directory / "tmp").mkdir(exist_ok=True)
        settings = {**CLAMD_LIMITS, "Foreground": "yes", "LocalSocket": self.socket, "DatabaseDirectory": self._signatures,
                    "TemporaryDirectory": self.directory / "tmp", "MaxThreads": self._threads,
                    "DisableCache": "no" if self._cache else "yes"}
        self.config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        self.process = processes.start([processes.find("clamd", "clamav-daemon"), f"--config-file={self.config}"], self.log)
        processes.wait_until(self._answers, self.process, self.log)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(b"zPING\0")
            return client.recv(16) == b"PONG\0"

    def scan(self, root: Path) -> None:
        """`clamdscan --multiscan --fdpass`: all files below `root`, as fast as clamd can."""
        self._clamdscan("--multiscan", root)

    def answers(self, root: Path) -> dict[str, str]:
        """What is said of each file in `root`, one after the other: "OK", "NAME FOUND", "TEXT ERROR". (With --multiscan clamdscan
        keeps silent about the clean ones.)"""
        paths = self.directory / "paths"
        paths.write_text("".join(f"{path}\n" for path in sorted(root.iterdir())))
        lines = (line.rpartition(": ") for line in self._clamdscan(f"--file-list={paths}").splitlines())
        return {os.path.relpath(name, root): answer for name, colon, answer in lines if colon}

    def _clamdscan(self, *words) -> str:
        done = subprocess.run([processes.find("clamdscan", "clamdscan"), f"--config-file={self.config}", "--fdpass", "--no-summary", *words],
                              capture_output=True, text=True)
        # 0: nothing found, 1: something, 2: an error.
        if done.returncode not in (0, 1):
            raise BenchFailed(f"clamdscan failed: {done.stdout[-500:]}{done.stderr[-500:]}")
        return done.stdout


class RestWrapper(AnyHttpServer):
    """An HTTP server that hands bodies on to a clamd."""

    def __init__(self, context: Context, clamd: Clamd):
        super().__init__(context, "wrapper")
        self._clamd = clamd

    def _command(self) -> list:
        return [sys.executable, self.context.root / "bench/rest_wrapper/rest_wrapper.py", self._clamd.socket, str(self.port)]

    @property
    def url(self) -> str:
        return super().url + "/scan"


class DirectScan(Server):
    """libclamav in processes of its own, with the signatures loaded."""

    def __init__(self, context: Context, signatures: Path, count: int):
        super().__init__(context, "direct")
        self._signatures, self._count = signatures, count

    def start(self) -> None:
        command = [self.context.program("lazaret_direct_scan"), "--signatures", self._signatures, "--processes", str(self._count), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._line()

    def scan(self, root: Path) -> dict:
        self.process.stdin.write(f"{root}\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> dict:
        if not (line := self.process.stdout.readline()):
            raise BenchFailed(f"lazaret_direct_scan has ended with {self.process.wait()}")
        return json.loads(line)

    def __exit__(self, *more):
        # At the end of its input it ends.
        if self.process is not None:
            self.process.stdin.close()
        super().__exit__(*more)


class Nginx(AnyHttpServer):
    """Answers everything with 200 and two letters: what a web server costs that does nothing. A small request fits its
    buffer whole, so that one call reads it."""

    def _command(self) -> list:
        temporary = " ".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.directory / "nginx.conf"
        config.write_text(f"""worker_processes {self.context.cores};
daemon off;
pid {self.directory}/nginx.pid;
error_log {self.directory}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 0; client_header_buffer_size 4k; {temporary}
  server {{ listen 127.0.0.1:{self.port} reuseport; location / {{ return 200 "ok"; }} }}
}}
""")
        return [processes.find("nginx", "nginx-light"), "-c", config]


class Redis(Server):
    """On a Unix socket, keeping nothing. In Debian's redis-tools the server is redis-check-rdb under another name."""

    def start(self) -> None:
        self.socket = self.directory / "redis.sock"
        program = processes.find("redis-check-rdb", "redis-tools")
        self.process = processes.start(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.directory, "--save", ""],
                                       self.log, executable=program)
        processes.wait_until(self._answers, self.process, self.log)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(16) == b"+PONG\r\n"
