"""archprof completion: the lines that make a shell complete commands, options and names of networks."""

from __future__ import annotations

import argparse
from typing import Any

from ..base.errors import BadOption, did_you_mean
from . import options

#: Shell -> how it reads what is printed, in the user's own words.
SHELLS = {
    "bash": 'eval "$(archprof completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$(archprof completion zsh)"     in ~/.zshrc, after compinit',
    "fish": "archprof completion fish > ~/.config/fish/completions/archprof.fish",
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(commands, "completion", run, "archprof completion bash")
    how = "\n".join(f"  {line}" for line in SHELLS.values())
    parser.epilog = f"where they go:\n{how}\n\n{parser.epilog}"
    parser.add_argument("shell", metavar="SHELL", help=f"{', '.join(SHELLS)}")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    if args.shell not in SHELLS:
        raise BadOption(
            f"nothing is known of the shell '{args.shell}'.{did_you_mean(args.shell, SHELLS)}",
            f"Expected one of: {', '.join(SHELLS)}.",
        )
    import argcomplete

    print(argcomplete.shellcode(["archprof"], shell=args.shell))
    return 0
