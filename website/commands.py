"""The pages of the commands and of the settings, from what click knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click

from tvm_farm.agent.cli import main as agent
from tvm_farm.tracker.cli.farm_cmd import farm
from tvm_farm.tracker.cli.tracker_cmd import tracker
from website.markdown import table

__all__ = ["PROGRAMS", "commands_page", "contexts", "settings_page"]

#: What a person types, and the command that it is.
PROGRAMS: dict[str, click.Group] = {"farm": farm, "tracker": tracker, "agent": agent}


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """``command`` and all commands within it, each as the context in which click would run it."""
    settings = dict(command.context_settings) | {"terminal_width": 1000, "max_content_width": 1000}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from contexts(inner, each, context)


def commands_page() -> str:
    """A list of all commands, then each with its help as Markdown."""
    all_of_them = [each for name, command in PROGRAMS.items() for each in contexts(command, name)]
    rows = [
        (f"[`{each.command_path}`](#{each.command_path.replace(' ', '-')})", each.command.get_short_help_str(1000))
        for each in all_of_them
        if not isinstance(each.command, click.Group)
    ]
    return "\n\n".join([table(("command", "does"), rows), *map(_section, all_of_them)])


def settings_page() -> str:
    """All variables of the environment that stand for an option, each with a link to its command's help."""
    rows: dict[str, tuple[str, str]] = {}
    for name, command in PROGRAMS.items():
        for context in contexts(command, name):
            for option in _options(context):
                for variable in _variables(option, context):
                    path = context.command_path
                    asked = f"[`{path} {max(option.opts, key=len)}`](cli.md#{path.replace(' ', '-')})"
                    rows.setdefault(variable, (f"`{variable}`", asked))
    return table(("variable", "stands for"), list(rows.values()))


def _section(context: click.Context) -> str:
    command = context.command
    level = "##" if context.parent is None else "###"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{level} {context.command_path}", f"```text\n{usage}\n```", _prose(command.help or "")]
    options = [_help(option, context) for option in _options(context)]
    if options:
        rows = [(f"`{names}`", _plain(text)) for names, text in options]
        parts.append(table(("option", ""), rows))
    parts.append(_prose(command.epilog or ""))
    return "\n\n".join(part for part in parts if part)


def _options(context: click.Context) -> list[click.Option]:
    """Those that take something, hidden ones left out: neither --help nor --version."""
    return [
        each
        for each in context.command.params
        if isinstance(each, click.Option) and each.expose_value and not each.hidden
    ]


def _help(option: click.Option, context: click.Context) -> tuple[str, str]:
    """Its names with what it takes, and what it does. Of several words to choose from, the text tells."""
    record = option.get_help_record(context)
    assert record is not None
    names, text = record
    if isinstance(option.type, click.Choice):
        choices = [str(each) for each in option.type.choices]
        names = names.replace(f"[{'|'.join(choices)}]", "WORD")
        text = f"{text} WORD is {', '.join(f'`{each}`' for each in choices[:-1])} or `{choices[-1]}`."
    return names, text.replace(str(Path.home()), "~")


def _variables(option: click.Option, context: click.Context) -> list[str]:
    found = list(re.findall(r"\[env: (\w+)\]", option.help or ""))
    if option.envvar:
        found += [option.envvar] if isinstance(option.envvar, str) else option.envvar
    elif context.auto_envvar_prefix and option.name:
        found.append(f"{context.auto_envvar_prefix}_{option.name.upper()}")
    return found


def _plain(text: str) -> str:
    """Text of a help that Markdown must not read as its own, with its `code` left as it is."""
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]])", r"\\\1", part)
        for part in re.split(r"(`[^`]*`)", text)
    )


def _prose(text: str) -> str:
    """Help as Markdown: paragraphs, and what click is told by \\b to leave alone, as a block."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", dedent(text.replace("\f", "")).strip()):
        if not paragraph.lstrip().startswith("\b"):
            parts.append(_plain(" ".join(paragraph.split())))
            continue
        title, _, rest = paragraph.lstrip().removeprefix("\b").strip("\n").partition("\n")
        parts += (
            [_plain(title.strip()), f"```text\n{dedent(rest).rstrip()}\n```"] if rest else [f"```text\n{title}\n```"]
        )
    return "\n\n".join(part for part in parts if part)
