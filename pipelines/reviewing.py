"""The reviewer's commands: same data? really better? who promoted it, and can we go back?"""

import typer

reviewing = typer.Typer()
