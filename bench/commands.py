"""How long the command line takes to answer, beside importing what any client of its kind needs."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

PAIRS = 15
OURS = [str(Path(sys.executable).with_name("hanamictl")), "--help"]
THEIRS = [sys.executable, "-c", "import click, requests"]


def seconds(command: list[str]) -> float:
    """Return how long a process takes."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Print the medians and the ratio of interleaved runs."""
    seconds(OURS), seconds(THEIRS)
    pairs = [(seconds(OURS), seconds(THEIRS)) for _ in range(PAIRS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"hanamictl --help              {ours * 1000:6.0f} ms")
    print(f"python -c 'import click, requests' {theirs * 1000:6.0f} ms")
    print(f"ratio {ours / theirs:.2f} (bar: at most 2)")


if __name__ == "__main__":
    main()
