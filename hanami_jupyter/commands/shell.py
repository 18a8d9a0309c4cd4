"""The console script ``hanamictl``: the command grammar with tables, exit codes and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from hanami_jupyter.client.hanami_exceptions import HanamiException
from hanami_jupyter.commands.context import Answer, Context
from hanami_jupyter.commands.tree import root

USAGE, FAILED = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words behind ``hanamictl``; by default those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 the server or the network refused, 2 the command line is wrong.
    """
    context = Context()
    try:
        answer = root.main(
            None if arguments is None else list(arguments),
            prog_name="hanamictl",
            standalone_mode=False,
            obj=context,
        )
        if isinstance(answer, Answer):
            click.echo(shown(answer, context) if context.json else answer.text())
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
    except click.UsageError as error:
        return _complain(error.format_message(), USAGE)
    except click.ClickException as error:
        return _complain(error.format_message(), FAILED)
    except (click.Abort, KeyboardInterrupt):
        return _complain("Interrupted.", FAILED)
    except (HanamiException, ValueError, OSError) as error:
        return _complain(str(error), FAILED)
    finally:
        context.close()
    return 0


def shown(answer: Answer, context: Context) -> str:
    """Return an answer as JSON: the server's own, or what the command names instead."""
    raw = context.answers[-1] if answer.raw is ... else answer.raw
    return json.dumps(raw, indent=4, sort_keys=True)


def _complain(sentence: str, code: int) -> int:
    click.echo(sentence, err=True)
    return code


def run() -> None:
    """Run the command of this process and leave with its exit code."""
    sys.exit(main())
