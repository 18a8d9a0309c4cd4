"""The ``%hanami`` magic: the command grammar in a notebook, returning objects instead of printing."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from typing import TYPE_CHECKING, Any

import click
from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Float, Int, Unicode
from traitlets.config import Configurable

from hanami_jupyter.client.hanami_exceptions import HanamiException
from hanami_jupyter.commands import completion
from hanami_jupyter.commands.completion import Names
from hanami_jupyter.commands.context import Answer, Context
from hanami_jupyter.protocol.template import TemplateError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from hanami_jupyter.session import Session

VARIABLE = "session"  # the notebook's name for its connection


class Text(str):
    """A text that a notebook shows as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@magics_class
class HanamiMagics(Magics, Configurable):
    """Commands for a Hanami server."""

    shell: InteractiveShell

    address = Unicode(
        "", help="Address of the server, where neither the command nor the session names one."
    ).tag(config=True)
    project = Unicode("", help="Project to work in, where nothing else names one.").tag(config=True)

    poll = Float(0.2, min=0.05, help="Seconds between two looks at a task that is waited for.").tag(
        config=True
    )
    max_rows = Int(60, min=4, help="Rows that the notebook shows of a table.").tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.names = Names()

    @no_var_expand
    @line_cell_magic
    def hanami(self, line: str, cell: str | None = None) -> Any:
        """Run a Hanami command, such as ``%hanami cluster list``.

        ``%hanami --help`` lists the commands. Python variables go in braces, as in
        ``%hanami task list -c {cluster_uuid}``. The answer is a DataFrame, a Series or an array:
        ``df = %hanami dataset list``. ``%%hanami cluster create NAME`` takes the template as the cell's
        body, and ``%%hanami template`` shows it as a picture.
        """
        try:
            return self._run(self._words(line), cell)
        except TemplateError as error:
            first = 1 if cell is not None else 0  # the line of the magic itself
            places = (f"line {p.line + first}, column {p.column}: {p.message}" for p in error.problems)
            raise UsageError("\n".join(places)) from None
        except click.exceptions.NoArgsIsHelpError as help_wanted:
            return Text(help_wanted.format_message())
        except click.ClickException as error:
            raise UsageError(error.format_message()) from None
        except (HanamiException, ValueError, OSError) as error:
            raise UsageError(str(error)) from None

    def _run(self, words: list[str], cell: str | None) -> Any:
        if words == ["template"] and cell is not None:
            from hanami_jupyter.plots import show_template  # noqa: PLC0415 - loads matplotlib

            return show_template(cell)
        from hanami_jupyter.commands.tree import root  # noqa: PLC0415 - loading the extension stays cheap

        said = io.StringIO()
        context = self.context(cell)
        with contextlib.redirect_stdout(said):
            answer = root.main(words, prog_name="%hanami", standalone_mode=False, obj=context)
        if isinstance(answer, Answer):
            self._limit_rows(answer.value)
            return Text(answer.text()) if answer.value is None else answer.value
        return Text(said.getvalue().rstrip()) if said.getvalue() else None

    def _limit_rows(self, value: Any) -> None:
        """Make pandas show as many rows as are configured, once there is a table and only if they are."""
        if self.trait_has_value("max_rows") and hasattr(value, "columns"):
            import pandas as pd  # noqa: PLC0415 - loaded by the table

            pd.set_option("display.max_rows", self.max_rows)

    def context(self, cell: str | None = None) -> Context:
        """Return what a command of this notebook runs in."""
        return Context(
            defaults={"address": self.address, "project": self.project},
            interactive=False,
            body=cell,
            names=self.names,
            found=self._session,
            keep=self._keep,
            follow=_follow,
            poll=self.poll,
        )

    @context_matcher()  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Offer what may follow behind ``%hanami``, ``%%hanami`` and ``x = %hanami``."""
        line = re.match(r"\s*(?:[\w, .\[\]]+=\s*)?%{1,2}hanami\s+(.*)$", context.text_until_cursor)
        if line is None:
            return {"completions": []}
        word, offered = completion.complete(line.group(1), self.context())
        behind = len(word) - len(context.token)  # the shell's idea of a word ends at colons
        return {
            "completions": [SimpleCompletion(text[max(behind, 0) :], type="hanami") for text in offered],
            "matched_fragment": word[max(behind, 0) :],
            "suppress": True,
        }

    def _words(self, line: str) -> list[str]:
        """Split a line as a shell does, with the values of the notebook's variables for names in braces."""
        if re.search(r"(^|\s)(-p|--password)[\s=](?!\s*\{)", line):
            message = (
                "A password in a cell is saved with the notebook. Give a variable instead: -p {my_variable}."
            )
            raise UsageError(message)
        braces = re.findall(r"\{([^{}]+)\}", line)
        words = shlex.split(re.sub(r"\{[^{}]+\}", "\0", line))
        return [re.sub("\0", lambda _: self._value(braces.pop(0)), word) for word in words]

    def _value(self, expression: str) -> str:
        try:
            found = eval(expression, self.shell.user_global_ns, self.shell.user_ns)  # noqa: S307 - as in a cell
        except Exception as error:  # noqa: BLE001 - whatever the user's expression raises
            message = f"{{{expression}}} cannot be filled in: {error}"
            raise UsageError(message) from None
        return str(found["uuid"] if hasattr(found, "index") and "uuid" in found else found)

    def _session(self) -> Session | None:
        from hanami_jupyter.session import Session  # noqa: PLC0415

        found = self.shell.user_ns.get(VARIABLE)
        return found if isinstance(found, Session) else None

    def _keep(self, session: Session) -> None:
        self.shell.push({VARIABLE: session})


def _follow(session: Session, cluster_uuid: str, task_uuid: str) -> None:
    """Show the panel of a task that is waited for."""
    from IPython.display import display  # noqa: PLC0415

    from hanami_jupyter.panels.task_progress import TaskProgress  # noqa: PLC0415 - loads the widgets

    display(TaskProgress(session, cluster_uuid, task_uuid))


def load(shell: InteractiveShell) -> None:
    """Register the magics with a shell; loading twice is loading once."""
    unload(shell)
    magics = HanamiMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.complete)


def unload(shell: InteractiveShell) -> None:
    """Remove from a shell exactly what :func:`load` added."""
    magics = shell.magics_manager.registry.pop(HanamiMagics.__name__, None)
    if magics is not None:
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("hanami", None)
        shell.configurables.remove(magics)
        shell.Completer.custom_matchers.remove(magics.complete)
