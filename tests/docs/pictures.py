"""Keeps the screenshots that README and guide show, as the browser tests took them: ``make pictures``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
NAMED = re.compile(r"images/([\w-]+)\.png")
COLOURS = 192  # enough for panels and figures; a picture becomes a third of its size


def wanted() -> set[str]:
    """Return the names of the pictures that the pages show."""
    pages = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    return {name for page in pages for name in NAMED.findall(page.read_text("utf-8"))}


def main() -> int:
    """Copy each picture that is named, remove the others, and say which were not taken."""
    names = wanted()
    IMAGES.mkdir(exist_ok=True)
    for old in IMAGES.glob("*.png"):
        if old.stem not in names:
            old.unlink()
    missing = []
    for name in sorted(names):
        taken = SCREENSHOTS / f"{name}.png"
        if not taken.exists():
            missing.append(name)
            continue
        with Image.open(taken) as picture:
            picture.convert("RGB").quantize(COLOURS).save(IMAGES / taken.name, optimize=True)
    if missing:
        sys.stderr.write(f"no browser test took: {', '.join(missing)}\n")
    return len(missing)


if __name__ == "__main__":
    sys.exit(main())
