"""Writes the table of all commands into the guide, from the commands themselves; a test compares it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from hanami_jupyter.commands.tree import root

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
MARKS = ("<!-- commands: written by tests/docs/commands.py -->", "<!-- end of commands -->")
EVERYWHERE = {param.name for param in root.params}


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Return every command below a group and how it is called."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def taken(param: click.Parameter) -> str:
    """Return an argument or option as the table shows it."""
    if isinstance(param, click.Argument):
        text = (param.metavar or (param.name or "").upper()).strip("[]")
    else:
        flag = isinstance(param, click.Option) and param.is_flag
        text = param.opts[0] if flag else f"{param.opts[0]} {param.metavar or (param.name or '').upper()}"
    return f"`{text}`" if param.required else f"[`{text}`]"


def table() -> str:
    """Return the table of all commands, in the order of the help."""
    lines = ["| command | takes | what it does |", "|---|---|---|"]
    for name, command in leaves(root):
        own = [taken(param) for param in command.params if param.name not in EVERYWHERE]
        lines.append(f"| `{name}` | {' '.join(own)} | {command.get_short_help_str(200)} |")
    return "\n".join(lines)


def renewed(page: str) -> str:
    """Return the page with the table as it is now."""
    pattern = f"({re.escape(MARKS[0])}\n).*?(\n{re.escape(MARKS[1])})"
    return re.sub(pattern, lambda found: f"{found[1]}\n{table()}\n{found[2]}", page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
