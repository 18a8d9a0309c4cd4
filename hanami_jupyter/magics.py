"""The ``%hanami`` magic: the command grammar in a notebook, returning objects instead of printing."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from typing import TYPE_CHECKING, Any

import click
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from traitlets import Unicode
from traitlets.config import Configurable

from hanami_jupyter.client.hanami_exceptions import HanamiException
from hanami_jupyter.commands.context import Answer, Context

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from hanami_jupyter.session import Session

VARIABLE = "session"  # the notebook's name for its connection
PLUGIN = "HanamiMagics"


class Text(str):
    """A text that a notebook shows as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@magics_class
class HanamiMagics(Magics, Configurable):
    """Commands for a Hanami server."""

    address = Unicode(
        "", help="Address of the server, where neither the command nor the session names one."
    ).tag(config=True)

    @no_var_expand
    @line_magic
    def hanami(self, line: str) -> Any:
        """Run a Hanami command, such as ``%hanami cluster list``.

        ``%hanami --help`` lists the commands. Python variables go in braces, as in
        ``%hanami task list -c {cluster_uuid}``. The answer is a DataFrame, a Series or an array:
        ``df = %hanami dataset list``.
        """
        from hanami_jupyter.commands.tree import root  # noqa: PLC0415 - loading the extension stays cheap

        context = Context(
            address=self.address or None, interactive=False, found=self._session, keep=self._keep
        )
        said = io.StringIO()
        try:
            words = [self._expand(word) for word in shlex.split(line)]
            with contextlib.redirect_stdout(said):
                answer = root.main(words, prog_name="%hanami", standalone_mode=False, obj=context)
        except click.exceptions.NoArgsIsHelpError as help_wanted:
            return Text(help_wanted.format_message())
        except click.ClickException as error:
            raise UsageError(error.format_message()) from None
        except (HanamiException, ValueError, OSError) as error:
            raise UsageError(str(error)) from None
        if isinstance(answer, Answer):
            return answer.value if answer.value is not None or not answer.text() else Text(answer.text())
        return Text(said.getvalue().rstrip()) if said.getvalue() else None

    def _expand(self, word: str) -> str:
        """Put the values of the notebook's variables in the place of names in braces."""

        def value(match: re.Match[str]) -> str:
            found = eval(match.group(1), self.shell.user_global_ns, self.shell.user_ns)  # noqa: S307
            return str(found["uuid"] if hasattr(found, "index") and "uuid" in found else found)

        try:
            return re.sub(r"\{([^{}]+)\}", value, word)
        except Exception as error:  # noqa: BLE001 - whatever the user's expression raises
            message = f"{word} cannot be filled in: {error}"
            raise UsageError(message) from None

    def _session(self) -> Session | None:
        from hanami_jupyter.session import Session  # noqa: PLC0415

        found = self.shell.user_ns.get(VARIABLE)
        return found if isinstance(found, Session) else None

    def _keep(self, session: Session) -> None:
        self.shell.push({VARIABLE: session})


def load(shell: InteractiveShell) -> None:
    """Register the magics with a shell."""
    shell.register_magics(HanamiMagics)


def unload(shell: InteractiveShell) -> None:
    """Remove from a shell exactly what :func:`load` added."""
    shell.magics_manager.magics["line"].pop("hanami", None)
    shell.magics_manager.registry.pop(HanamiMagics.__name__, None)
    if shell.magics_manager.registry.get(PLUGIN) in shell.configurables:
        shell.configurables.remove(shell.magics_manager.registry[PLUGIN])
