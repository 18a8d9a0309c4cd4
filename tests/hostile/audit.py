"""``make audit``: which of the installed packages have known vulnerabilities, if anybody answers."""

from __future__ import annotations

import json
import subprocess
import sys

HOW = (
    "-m",
    "pip_audit",
    "--vulnerability-service",
    "osv",
    "--skip-editable",
    "--format",
    "json",
    "--timeout",
    "20",
)
LONGEST = 300  # seconds


def ask() -> tuple[str, str]:
    """Return what pip-audit prints and what it complains of."""
    try:
        done = subprocess.run(
            [sys.executable, *HOW], capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {LONGEST} s"
    return done.stdout, done.stderr


def main() -> int:
    """Print each vulnerability; return 1 if there is one that a newer version mends."""
    said, complaint = ask()
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError):
        last = (complaint.strip().splitlines() or ["no reason given"])[-1]
        sys.stdout.write(f"audit: not done, pip-audit or its database cannot be reached ({last[:200]})\n")
        return 0
    found = [(one, fault) for one in packages for fault in one.get("vulns", ())]
    for one, fault in found:
        mended = ", ".join(fault["fix_versions"]) or "no version"
        sys.stdout.write(f"{one['name']} {one['version']}: {fault['id']}, mended in {mended}\n")
    sys.stdout.write(f"audit: {len(packages)} packages, {len(found)} known vulnerabilities\n")
    return int(any(fault["fix_versions"] for _, fault in found))


if __name__ == "__main__":
    sys.exit(main())
