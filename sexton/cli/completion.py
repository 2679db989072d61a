"""Print completion for a shell, made from the commands themselves.

    sexton completion bash > /etc/bash_completion.d/sexton
    sexton completion zsh > ~/.zfunc/_sexton       # a directory of $fpath
    sexton completion fish > ~/.config/fish/completions/sexton.fish

Names of kinds are asked of the store when the key is pressed.
"""

from __future__ import annotations

import argparse

from sexton.cli.say import put
from sexton.cli.tree import Branch, branches
from sexton.core import errors

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help="for which shell")


def run(args: argparse.Namespace) -> int:
    text = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell](branches())
    put(text, end="")
    return errors.DONE


KINDS = "sexton kinds --names 2>/dev/null"


def bash(found: list[Branch]) -> str:
    """For bash 4 and later, without bash-completion."""
    cases = "\n".join(_bash_case(branch) for branch in found)
    return f"""# bash completion of sexton, made by `sexton completion bash`
_sexton() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words= asks_kind=
    local commands="{" ".join(branch.name for branch in found)}"
    if (( COMP_CWORD == 1 )); then
        words="$commands help --help --version"
    else
        case ${{COMP_WORDS[1]}} in
            help) words=$commands ;;
{cases}
        esac
    fi
    if [[ $asks_kind && $word != -* ]]; then
        words+=" $({KINDS})"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _sexton sexton
"""


def _bash_case(branch: Branch) -> str:
    """What may follow: the choices of the option before, else options, choices and kinds."""
    lines = []
    for option in branch.options:
        if option.choices:
            names = "|".join(option.names)
            choices = " ".join(_bash_word(choice) for choice in option.choices)
            lines.append(f'                {names}) words="{choices}" ;;')
        elif option.is_kind:
            lines.append(f"                {'|'.join(option.names)}) asks_kind=1 ;;")
    words = [name for option in branch.options for name in option.names]
    words += [choice for position in branch.positions for choice in position.choices]
    asks = " asks_kind=1" if any(position.is_kind for position in branch.positions) else ""
    lines.append(f'                *) words="{" ".join(words)}"{asks} ;;')
    inner = "\n".join(lines)
    return (
        f"            {branch.name})\n"
        f"                case $before in\n{inner}\n                esac ;;"
    )


def _bash_word(choice: str) -> str:
    """A choice as it is typed, and that once more as compgen reads its list."""
    return choice if " " not in choice else _single(choice.replace(" ", "\\ "))


def zsh(found: list[Branch]) -> str:
    """For zsh's own completion system."""
    commands = "\n".join(f"        {_single(f'{one.name}:{one.summary}')}" for one in found)
    cases = "\n".join(
        f"        {branch.name}) _arguments -s {' '.join(_zsh_words(branch))} ;;"
        for branch in found
    )
    return f"""#compdef sexton
# zsh completion of sexton, made by `sexton completion zsh`
_sexton_kinds() {{
    local -a kinds
    kinds=("${{(@f)$({KINDS})}}")
    compadd -a kinds
}}
_sexton() {{
    local -a commands
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
        help) _describe command commands ;;
{cases}
    esac
}}
if [ "$funcstack[1]" = "_sexton" ]; then
    _sexton "$@"
else
    compdef _sexton sexton
fi
"""


def _zsh_words(branch: Branch) -> list[str]:
    words = []
    for option in branch.options:
        values = ""
        if option.takes_value:
            values = f":{option.metavar}:{_zsh_values(option.choices, option.is_kind)}"
        words += [_single(f"{name}[{_bare(option.help)}]{values}") for name in option.names]
    for position in branch.positions:
        values = _zsh_values(position.choices, position.is_kind)
        many = "*" if position.is_repeated else ""
        words.append(_single(f"{many}:{_bare(position.metavar)}:{values}"))
    return words


def _zsh_values(choices: list[str], is_kind: bool) -> str:
    if choices:
        return f"({' '.join(choice.replace(' ', chr(92) + ' ') for choice in choices)})"
    return "_sexton_kinds" if is_kind else "_files"


def _bare(text: str) -> str:
    return "".join(" " if sign in "[]:\\" else sign for sign in text)


def fish(found: list[Branch]) -> str:
    """For fish 3 and later."""
    lines = [
        "# fish completion of sexton, made by `sexton completion fish`",
        "complete -c sexton -f",
        "complete -c sexton -n '__fish_seen_subcommand_from help'"
        f" -a {_single(' '.join(branch.name for branch in found))}",
    ]
    for branch in found:
        summary = _single(branch.summary)
        lines.append(f"complete -c sexton -n __fish_use_subcommand -a {branch.name} -d {summary}")
        at = f"complete -c sexton -n '__fish_seen_subcommand_from {branch.name}'"
        for option in branch.options:
            names = [
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            ]
            value = _fish_values(option.choices, option.is_kind) if option.takes_value else ""
            lines.append(f"{at} {' '.join(names)}{value} -d {_single(option.help)}")
        for position in branch.positions:
            values = _fish_values(position.choices, position.is_kind)
            lines.append(f"{at}{values.replace(' -r', ' -F') if values == ' -r' else values}")
    return "\n".join(lines) + "\n"


def _fish_values(choices: list[str], is_kind: bool) -> str:
    if choices:
        return f" -xa {_single(' '.join(choice.replace(' ', chr(92) + ' ') for choice in choices))}"
    return f" -xa '({KINDS})'" if is_kind else " -r"


def _single(text: str) -> str:
    """One word for the shell, between single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"
