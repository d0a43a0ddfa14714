"""The `phenolake` command; each subcommand imports what it needs when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from phenolake import __version__
from phenolake.errors import PhenolakeError

app = typer.Typer(
    name="phenolake",
    help="The lakehouse for high-content screening: plates of images to tables you can query.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"phenolake {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


from phenolake.cli import commands  # noqa: E402, F401  (registers the subcommands on `app`)


def main() -> None:
    """Run the command; our own errors are one sentence, not a traceback."""
    try:
        app()
    except PhenolakeError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
