"""``farm use``: which farm the commands and scripts of this user talk to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tvm_farm.tracker.cli.terminal.completing import context_names
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import ADDRESS

if TYPE_CHECKING:
    from tvm_farm.tracker.client.contexts import Context, Contexts

__all__ = ["use"]


@click.command()
@click.argument("name", required=False, shell_complete=context_names)
@click.option("--tracker", type=ADDRESS, metavar="HOST:PORT", help="Make context NAME, or change it: its tracker.")
@click.option("--farm", metavar="FARM", help="The same: its farm's name in mDNS, where several answer.")
@click.option("--mdns-interface", metavar="IP|NAME", help="The same: listen for mDNS on this network interface alone.")
@click.option("--delete", is_flag=True, help="Forget context NAME.")
@click.option("--none", "nothing", is_flag=True, help="Use no context: the tracker is heard by mDNS again.")
@json_option
def use(
    name: str | None,
    tracker: str | None,
    farm: str | None,
    mdns_interface: str | None,
    delete: bool,
    nothing: bool,
    as_json: bool,
) -> None:
    """Use the farm NAME from now on; without NAME, list contexts.

    A context is what --tracker, --farm and --mdns-interface would say; the options and their environment variables go
    before it. NAME is a context, or the name of a farm that is heard by mDNS, which becomes one.

    \b
    Examples:
      farm use lab
      farm use --tracker lab-server:9195 lab
      farm use --delete lab
    """
    from tvm_farm.tracker.client.contexts import Context, Contexts
    from tvm_farm.tracker.client.errors import BadInput

    given = {"tracker": tracker, "farm": farm, "mdns_interface": mdns_interface}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value}
    if [delete, nothing, bool(changes)].count(True) > 1 or (nothing and name):
        raise click.UsageError("--delete and --none stand alone: leave the other options out.")
    if name is None and (delete or changes):
        raise click.UsageError("This needs the NAME of a context.")
    contexts = Contexts.load()
    if name is None and not nothing:
        _show(contexts, as_json)
        return
    if nothing:
        Contexts(contexts.named).save()
        click.echo("No context is used: the tracker is heard by mDNS.", err=True)
        return
    assert name is not None
    if not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
        raise BadInput(f"{name!r} cannot name a context: letters, digits and . _ - are taken.")
    if delete:
        _deleted(contexts, name).save()
        click.echo(f"Forgot {name}.", err=True)
        return
    if changes:
        context = replace(contexts.named.get(name, Context()), **changes)
    else:
        context = contexts.named.get(name) or _heard(contexts, name)
    Contexts({**contexts.named, name: context}, name).save()
    click.echo(f"Using {name}: {_said(context)}.", err=True)


def _deleted(contexts: Contexts, name: str) -> Contexts:
    from tvm_farm.protos.suggestions import did_you_mean
    from tvm_farm.tracker.client.contexts import Contexts
    from tvm_farm.tracker.client.errors import BadInput

    if name not in contexts.named:
        raise BadInput(f"There is no context {name}.{did_you_mean(name, contexts.named)}")
    left = {each: context for each, context in contexts.named.items() if each != name}
    return Contexts(left, None if contexts.current == name else contexts.current)


def _heard(contexts: Contexts, name: str) -> Context:
    """The context of a farm that mDNS knows by this name."""
    from tvm_farm.protos.discovery import browse
    from tvm_farm.protos.suggestions import did_you_mean
    from tvm_farm.tracker.client.connection import Connection
    from tvm_farm.tracker.client.contexts import Context
    from tvm_farm.tracker.client.errors import BadInput

    interface = Connection.of_environment().interface
    try:
        farms = [found.farm for found in browse(farm=name, interface=interface)]
    except OSError:
        farms = []
    if name in farms:
        return Context(farm=name)
    raise BadInput(
        f"There is no context {name}, and no farm of that name is heard by mDNS."
        f"{did_you_mean(name, [*contexts.named, *farms])} To make one: farm use --tracker HOST:PORT {name}"
    )


def _show(contexts: Contexts, as_json: bool) -> None:
    from tvm_farm.tracker.cli.terminal.output import console, print_json, table

    if as_json:
        known = ("tracker", "farm", "mdns_interface")
        named = {name: {key: getattr(each, key) for key in known} for name, each in contexts.named.items()}
        print_json({"current": contexts.current, "contexts": named})
        return
    if not contexts.named:
        click.echo("There is no context: make one with `farm use --tracker HOST:PORT NAME`.", err=True)
        return
    rows = [
        ("*" if name == contexts.current else "", name, each.tracker or "by mDNS", each.farm, each.mdns_interface)
        for name, each in contexts.named.items()
    ]
    console().print(table(["", "context", "tracker", "farm", "mDNS on"], rows))


def _said(context: Context) -> str:
    way = f"the tracker at {context.tracker}" if context.tracker else "a tracker heard by mDNS"
    farm = f", farm {context.farm}" if context.farm else ""
    return way + farm + (f", mDNS on {context.mdns_interface}" if context.mdns_interface else "")
