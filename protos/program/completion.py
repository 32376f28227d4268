"""``completion``, a command of each program: what a shell needs to complete it."""

from __future__ import annotations

import click

__all__ = ["agent", "farm", "tracker"]

_HELP = """Print what SHELL needs to complete this program's words.

\b
Examples:
  {program} completion bash >> ~/.bashrc
  {program} completion zsh >> ~/.zshrc
  {program} completion fish > ~/.config/fish/completions/{program}.fish
"""


def _completion(program: str) -> click.Command:
    """The command of ``program``."""

    @click.command("completion", help=_HELP.format(program=program))
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
    @click.pass_context
    def command(ctx: click.Context, shell: str) -> None:
        from click.shell_completion import get_completion_class

        shells = get_completion_class(shell)
        assert shells is not None
        # Not source(), which looks for a shell here: a line may be meant for another host.
        complete = shells(ctx.find_root().command, {}, program, f"_{program.upper()}_COMPLETE")
        lines = complete.source_template % complete.source_vars()
        if shell == "zsh":  # sourced by ~/.zshrc before anything else has
            lines = f"autoload -Uz compinit && (( $+functions[compdef] )) || compinit\n{lines}"
        click.echo(lines)

    return command


agent, farm, tracker = map(_completion, ("agent", "farm", "tracker"))
