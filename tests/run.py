"""Runs every check and every test, and closes with one line: ``N passed, N failed``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "tests"
KERNEL = ROOT / "build" / "ipykernel6"  # the Makefile installs it
BIN = Path(sys.executable).parent
CODE = ["hanami.py", "hanami_jupyter", "js/build.py", "tests", "bench"]
STRICT = os.environ.get("HANAMI_REQUIRE_ALL") == "1"
OUTPUT: ContextVar[IO[str] | None] = ContextVar("output", default=None)  # where what is run writes


@dataclass
class Count:
    """What one part found."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


def run(*words: str, **variables: str) -> int:
    """Run a command in the root folder with this environment's tools and return its exit code."""
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUTF8": "1",
        "NO_MKDOCS_2_WARNING": "1",
        **variables,
    }
    environment.pop("HANAMI_DATA_DIR", None)  # the tests compare with what the packaged sample gives
    output = OUTPUT.get()
    return subprocess.run(
        words, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
    ).returncode


def check(*words: str) -> Count:
    """Run a command that passes or fails as a whole."""
    return Count(passed=1) if run(*words) == 0 else Count(failed=1)


def pytest(name: str, *words: str, **variables: str) -> Count:
    """Run pytest and count its cases."""
    report = BUILD / f"{name}.xml"
    report.unlink(missing_ok=True)
    code = run(sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *words, **variables)
    if not report.exists():
        return Count(failed=1)
    suite = next(ElementTree.parse(report).iter("testsuite"))
    total, failed, errors, skipped = (
        int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")
    )
    if code and not failed + errors:
        return Count(failed=1)
    return Count(total - failed - errors - skipped, failed + errors, skipped)


def vitest() -> Count:
    """Run the front end's unit tests and count its cases."""
    report = BUILD / "vitest.json"
    report.unlink(missing_ok=True)
    code = run(
        sys.executable,
        "js/build.py",
        "test",
        "--silent",
        "--",
        "--reporter=default",
        "--reporter=json",
        f"--outputFile.json={report}",
    )
    if not report.exists():
        return Count(failed=1)
    found = json.loads(report.read_text("utf-8"))
    return Count(
        found["numPassedTests"], found["numFailedTests"] or int(bool(code)), found["numPendingTests"]
    )


def older_kernel() -> Count:
    """Run the panels' tests on ipykernel 6, which delivers a front end's messages on the main thread."""
    if not (KERNEL / ".installed").exists():
        return Count(note="not run")
    variables = {"PYTHONPATH": str(KERNEL), "HANAMI_IPYKERNEL": "6"}
    return pytest("ipykernel-6", "tests/panels", **variables)


def browser() -> Count:
    """Run the tests in a real JupyterLab, where there is a browser."""
    if not shutil.which("chromium") and not STRICT:
        return Count(note="not run")
    return pytest("browser", "tests/browser", "-m", "browser", "--numprocesses=2")


PARTS = {
    "lint": lambda: check("ruff", "check", *CODE),
    "format": lambda: check("ruff", "format", "--check", *CODE),
    "types": lambda: check("mypy"),
    "imports": lambda: check("lint-imports"),
    "front end": lambda: check(sys.executable, "js/build.py", "run", "--silent", "check"),
    "front end tests": vitest,
    "documentation": lambda: check("mkdocs", "build", "--strict", "--quiet"),
    "tests": lambda: pytest("tests", "tests", "-m", "not browser"),
    "panels on ipykernel 6": older_kernel,
    "notebooks": lambda: pytest(
        "notebooks",
        "-p",
        "tests.notebooks.plugin",
        "--nbval",
        "--nbval-cell-timeout=300",
        "--nbval-sanitize-with=tests/notebooks/sanitize.cfg",
        "--timeout=600",
        "notebooks",
    ),
    "browser tests": browser,
    "installations": lambda: check(sys.executable, "tests/binder/rehearse.py"),
}
# these wait for downloads, kernels and pages most of the time: they run one by one beside the others
BESIDE = ("installations", "panels on ipykernel 6", "notebooks", "browser tests")


def main() -> int:
    """Run all parts, or those named on the command line."""
    BUILD.mkdir(parents=True, exist_ok=True)
    chosen = sys.argv[1:] or list(PARTS)
    log = BUILD / "beside.log"
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(carry_out, [name for name in BESIDE if name in chosen], log)
        counts = carry_out([name for name in chosen if name not in BESIDE])
        counts |= beside.result()
    sys.stdout.write(log.read_text("utf-8"))
    return summary(counts)


def carry_out(names: list[str], log: Path | None = None) -> dict[str, Count]:
    """Run parts one after another; with a log, what they say goes there."""
    counts = {}
    with log.open("w", encoding="utf-8") if log else nullcontext(sys.stdout) as output:
        OUTPUT.set(output if log else None)
        for name in names:
            begin = time.monotonic()
            output.write(f"\n== {name}\n")
            output.flush()
            counts[name] = PARTS[name]()
            output.write(f"== {name}: {time.monotonic() - begin:.0f} s\n")
    return counts


def summary(counts: dict[str, Count]) -> int:
    """Print what each part found and the closing line; return the exit code."""
    sys.stdout.write("\n")
    left_out = [name for name in PARTS if name not in counts or counts[name].note]
    for name, count in counts.items():
        skipped = f", {count.skipped} skipped" if count.skipped else ""
        if not count.note:
            sys.stdout.write(f"{name}: {count.passed} passed, {count.failed} failed{skipped}\n")
    for name in left_out:
        sys.stdout.write(f"{name}: not run\n")
    passed, failed, skipped = (
        sum(getattr(c, k) for c in counts.values()) for k in ("passed", "failed", "skipped")
    )
    if STRICT and (left_out or skipped):
        failed += 1
        sys.stdout.write("something was left out, which is not allowed here\n")
    tail = f", {skipped} skipped" if skipped else ""
    sys.stdout.write(f"{passed} passed, {failed} failed{tail}\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
