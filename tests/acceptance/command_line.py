#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tells of the command line tells of all of it: every command and option that --help names is
in the manual page and in the completions of each shell; the page and the scripts are well formed,
and bash completes with them; doctor says what is there."""
import re
import shutil
import subprocess
import sys

from common import Checks, upres, workspace

FORMATS = "PNG, JPEG, WebP, TIFF, AVIF, HEIC, JPEG XL, JPEG 2000, PPM, PFM, BMP, GIF"

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_upres
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What is typed, and what bash offers.
COMPLETED = (
    (("upres", "im"), ["image"]),
    (("upres", "image", "--de"), ["--denoise", "--depth", "--device"]),
    (("upres", "image", "in.png", "--depth", ""), ["16", "8", "float"]),
    (("upres", "image", "-b", "r"), ["reference"]),
    (("upres", "engine", ""), ["build", "clean", "list"]),
    (("upres", "engine", "build", "--precision", ""), ["fp16", "fp32"]),
    (("upres", "completions", ""), ["bash", "fish", "zsh"]),
    (("upres", "info", "--he"), ["--help"]),
)


def commands_and_options():
    """All pairs of a command and an option of it, as the helps list them."""
    def listed(*command):
        text = upres(*command, "--help").stdout
        lines = "\n".join(re.findall(r"^  (-.*?)(?:  |$)", text, re.M))
        options = re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", lines)
        section = text.partition("Subcommands:")[2]
        return sorted(set(options)), re.findall(r"^  ([a-z]+)", section, re.M)

    found, waiting = {}, [()]
    while waiting:
        command = waiting.pop()
        options, children = listed(*command)
        found[command] = options
        waiting += [(*command, child) for child in children]
    return found


def manual(checks, table, folder):
    page = upres("man").stdout
    words = page.replace("\\-", "-").replace("\\fB", " ").replace("\\fR", " ")
    missing = [f"{' '.join(command)} {option}" for command, options in table.items() if command
               for option in options if option not in section(words, command).split()
               and option + "," not in section(words, command)]
    checks.check(not missing, "the manual page has every option", ", ".join(missing))
    (folder / "upres.1").write_text(page)
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-z", folder / "upres.1"],
                              capture_output=True, text=True)
        checks.check(not done.stderr, "groff has nothing to say against it", done.stderr[:300])
    else:
        checks.skip(1, "no groff")


def section(page, command):
    found = re.search(rf"^\.SS upres {' '.join(command)}$(.*?)^\.S[SH]", page, re.M | re.S)
    return found[1] if found else ""


def completions(checks, table, folder):
    options = {option for all_of_them in table.values() for option in all_of_them}
    for shell in ("bash", "zsh", "fish"):
        script = folder / shell
        script.write_text(upres("completions", shell).stdout)
        text = script.read_text()
        names = options if shell != "fish" else {o.lstrip("-") for o in options}
        missing = [name for name in sorted(names)
                   if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
        checks.check(not missing, f"{shell} knows every option", ", ".join(missing))
        if shutil.which(shell):
            done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
            checks.check(done.returncode == 0, f"{shell} can read its script", done.stderr[:300])
        else:
            checks.skip(1, f"no {shell}")
    for typed, offered in COMPLETED:
        done = subprocess.run(["bash", "-c", BASH, "bash", folder / "bash", *typed],
                              capture_output=True, text=True)
        checks.check(sorted(done.stdout.split()) == offered and not done.stderr,
                     f"bash completes {' '.join(typed)!r}", " ".join(done.stdout.split()))


def doctor(checks):
    done = upres("doctor")
    facts = dict(re.findall(r"^(\S[\w ]*?) {2,}(.+)$", done.stdout, re.M))
    checks.check(done.returncode == 0 and not done.stderr, "doctor ends well", done.stderr)
    for fact in ("processor", "instructions", "memory", "gpu", "backends", "models", "will use"):
        checks.check(facts.get(fact), f"doctor tells: {fact}", facts.get(fact, "nothing"))
    for what in ("writes", "reads"):
        checks.check(facts.get(what) == FORMATS, f"doctor tried: {what}", facts.get(what, "nothing"))


def main():
    checks = Checks()
    table = commands_and_options()
    checks.check(len(table) >= 6, "commands are found in the help", len(table))
    with workspace() as folder:
        manual(checks, table, folder)
        completions(checks, table, folder)
    doctor(checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
