"""The steps of action.yml as a runner would take them, and the part of GitHub's API that they speak with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from helpers.repositories import QUIET

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


@dataclass
class Runner:
    """Runs steps with inputs, in a workspace. `contexts` are what expressions name: 'github.action_path', ...

    `outputs`, `log` and `summary` hold what the steps wrote; `python` and `archprof` are those of the tests, without
    an installation.
    """

    workspace: Path
    temp: Path
    environment: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    log: str = ""
    failed: bool = False

    def __post_init__(self) -> None:
        self.bin = self.temp / "bin"
        self.bin.mkdir(parents=True, exist_ok=True)
        for name, words in (("python", ""), ("archprof", "-P -m archprof ")):
            self.tool(name, f'exec "{sys.executable}" {words}"$@"')
        defaults = {key: str(one.get("default", "")) for key, one in ACTION["inputs"].items()}
        self.contexts = {
            **{f"inputs.{key}": value for key, value in (defaults | {"install": "false"} | self.inputs).items()},
            "github.action_path": str(ROOT),
            "github.action": "__self",
            "github.event_name": self.environment.get("GITHUB_EVENT_NAME", ""),
            "runner.temp": str(self.temp),
            **self.contexts,
        }

    def tool(self, name: str, script: str) -> None:
        """A program that the steps find first."""
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, *names: str) -> int:
        """All steps in order, or those of these names; the exit code of the first that fails, else 0."""
        self.log, self.failed, code = "", False, 0
        for step in ACTION["runs"]["steps"]:
            if "run" in step and (not names or step["name"] in names) and self._holds(step.get("if", "")):
                ended = self._step(step)
                code = code or ended
                self.failed = code != 0
        return code

    @property
    def summary(self) -> str:
        """The job summary."""
        path = self.temp / "summary.md"
        return path.read_text() if path.exists() else ""

    def surroundings(self) -> dict[str, str]:
        """What every step's environment has."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        given = {"PATH": path, "HOME": str(self.temp), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CI": "true"}
        return given | {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"], **QUIET}

    def _step(self, step: dict[str, Any]) -> int:
        outputs = self.temp / "output"
        outputs.write_text("")
        own = {key: self._filled(value) for key, value in step.get("env", {}).items()}
        given = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md")}
        done = subprocess.run(
            # as GitHub does for shell: bash
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace / self._filled(step.get("working-directory", ".")),
            env=self.surroundings() | given | self.environment | own,
            capture_output=True,
            text=True,
            check=False,
        )
        self.log += done.stdout + done.stderr
        for line in outputs.read_text().splitlines():
            key, _, value = line.partition("=")
            self.contexts[f"steps.{step['id']}.outputs.{key}"] = value
        return done.returncode

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: self.contexts.get(found[1], ""), text)

    def _holds(self, condition: str) -> bool:
        """Whether the step runs: without a condition, unless one before it failed."""
        if "cancelled()" not in condition and self.failed:
            return False
        text = condition.removeprefix("${{").removesuffix("}}").replace("!cancelled()", "True").replace("&&", "and")
        text = re.sub(r"startsWith\((\S+), ('\w+')\)", r"\1.startswith(\2)", text)
        text = re.sub(r"\b(inputs|github)\.[\w-]+", lambda found: repr(self.contexts[found[0]]), text)
        return not text.strip() or bool(eval(text.strip()))


@dataclass
class Api:
    """What a repository's comments are, and every call that was made. `refuse` answers with that code instead."""

    address: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    refuse: int = 0
    author: str = "Bot"

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        """The status and the JSON."""
        place, _, query = path.partition("?")
        self.calls.append((method, place, token))
        if self.refuse:
            return self.refuse, {"message": "Resource not accessible by integration"}
        if method == "GET" and place.endswith("/comments"):
            size, page = (int(re.search(rf"\b{key}=(\d+)", query)[1]) for key in ("per_page", "page"))
            return 200, self.comments[size * (page - 1) : size * page]
        if method == "GET" and place == "/user":
            return (200, {"login": "somebody"}) if self.author == "User" else (403, {"message": "no"})
        if method == "POST":
            login = "github-actions[bot]" if self.author == "Bot" else "somebody"
            user = {"type": self.author, "login": login}
            self.comments.append({"id": 1000 + len(self.comments), "user": user, **body})
            return 201, self.comments[-1]
        if method == "PATCH":
            comment = next(one for one in self.comments if one["id"] == int(place.rpartition("/")[2]))
            comment |= body
            return 200, comment
        return 404, {"message": "Not Found"}


@contextmanager
def api() -> Iterator[Api]:
    """One that listens on the loopback until the block ends."""
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "")
            status, content = state.answer(self.command, self.path, token, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if status in (301, 302, 307):
                self.send_header("Location", f"{state.address}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
