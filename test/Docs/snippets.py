"""snippets.py: holds every fenced block of README.md and docs/ to its word.

A fence tells how it is checked, and one that does not is an error:

    console [exit=N]       what follows `$ ` is run, goes on behind `\\` and in lines that
                           begin with `> `, and prints what stands below, on standard
                           error too; N is the status of the last command
    mlir                   a program: te-opt reads and verifies it
    mlir save=FILE [with=TOOL]
                           likewise, by TOOL if it is not for te-opt; FILE then has it
    LANGUAGE file=FILE     these lines stand in a file that commands above have made, but
                           may be broken where it has a blank, and MLIR has comments
    LANGUAGE from=FILE     these lines stand in a file of the tree
    sh by=FILE             commands that are not run here; programs and options are
                           those of this file of the tree, which is

`...` stands for any number of lines, or for any part of one. The blocks of a page are run
in order, in a folder of its own: $TE is the root of the tree, $BUILD its build. A page with `<!-- after: PAGE -->` goes on in the folder of that page.

Paths of the tree in `code`, and relative links, must exist.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap

LANGUAGES = {
    "console", "sh", "mlir", "c", "c++", "cmake", "cuda", "diff", "json", "tablegen",
    "text",
}  # fmt: skip
TREE = r"(?:\.ci|docs|include|lib|runtime|test|tools)/"


class Wrong(Exception):
    """What is wrong with a block."""


class Fence:
    """A block: its line, language, options and text."""

    def __init__(self, line, info, body):
        self.line, self.body = line, body
        words = shlex.split(info)
        self.language = words[0] if words else ""
        pairs = [word.split("=", 1) for word in words[1:]]
        self.options = dict(pair if len(pair) == 2 else (pair[0], "") for pair in pairs)


def read_fences(text):
    """The blocks of a page, in order; also those in comments, for what readers need
    not see."""
    fences, begin = [], None
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*```(.*)$", line)
        if match and begin is None:
            begin, info, body = number, match[1], []
        elif match:
            fences.append(Fence(begin, info, body))
            begin = None
        elif begin is not None:
            body.append(line)
    if begin is not None:
        fences.append(Fence(begin, "never-closed", []))
    return fences


ELISIONS = ("...", "// ...", "# ...")


def dedent(lines):
    """Without trailing blanks, and without the indentation that all lines share."""
    return textwrap.dedent("\n".join(lines)).splitlines() if lines else []


def matches(wanted, found):
    """Whether two pieces are the same, where `...` stands for any part."""
    pieces = map(re.escape, wanted.split("..."))
    return re.fullmatch(".*".join(pieces), found) is not None


def ends_of_lines(wanted, lines, start):
    """Where in `lines` the wanted lines may end that begin at `start`."""
    places = {start}
    for line in wanted:
        if line.strip() in ELISIONS:
            places = set(range(min(places), len(lines) + 1))
        else:
            places = {
                at + 1
                for at in places
                if at < len(lines) and matches(line.rstrip(), lines[at])
            }
        if not places:
            break
    return places


def has_words(wanted, text):
    """Whether the words of the wanted lines stand in `text`, from the beginning of
    a line to the end of one. A line of the text may be broken in what is wanted."""
    words, begins, end_of = [], [], []
    for line in text.splitlines():
        begins.append(len(words))
        words += line.split()
        end_of += [len(words)] * len(line.split())
    begins.append(len(words))
    end_of.append(len(words))
    places = set(begins)
    for line in wanted:
        if line.strip() in ELISIONS:
            first = min(places & set(begins), default=len(words) + 1)
            places = {at for at in begins if at >= first}
            continue
        for word in line.split():
            if word == "...":
                places = {to for at in places for to in range(at, end_of[at] + 1)}
            else:
                places = {
                    at + 1
                    for at in places
                    if at < len(words) and matches(word, words[at])
                }
    return bool(places & set(begins))


def has_lines(wanted, text):
    """Whether the wanted lines stand in `text`, at whatever indentation."""
    lines = [line.rstrip() for line in text.splitlines()]
    own = len(wanted[0]) - len(wanted[0].lstrip())
    for start, line in enumerate(lines):
        indent = line[: max(len(line) - len(line.lstrip()) - own, 0)]
        rest = [line.removeprefix(indent) for line in lines[start:]]
        if matches(wanted[0], rest[0]) and ends_of_lines(wanted, rest, 0):
            return True
    return False


def find(wanted, has, text, where):
    """Checks that what a block has stands in `text`."""
    if not any(line.strip() not in ("", *ELISIONS) for line in wanted):
        raise Wrong("found no line, wanted some")
    if not has(dedent(wanted), text):
        raise Wrong(
            f"found lines that do not stand in {where}, wanted:\n{shorten(text)}"
        )


def shorten(text):
    lines = text.splitlines()
    if len(lines) > 80:
        lines = lines[:80] + [f"[and {len(lines) - 80} lines]"]
    return "\n".join(f"  | {line[:240]}" for line in lines)


class Checker:
    """Checks the pages of a tree."""

    def __init__(self, options):
        self.source = options.source.resolve()
        self.scratch = options.scratch.resolve()
        self.environment = dict(
            os.environ,
            PATH=os.pathsep.join(
                [
                    f"{options.build.resolve()}/bin",
                    os.path.dirname(sys.executable),  # which has NumPy
                    os.environ["PATH"],
                ]
            ),
            TE=str(self.source),
            BUILD=str(options.build.resolve()),
            CC=options.cc,
            CXX=options.cxx,
        )
        self.counts = {}

    def run(self, command, folder):
        """Its status and what it printed."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        return done.returncode, done.stdout

    def console(self, fence, folder):
        commands = []
        for line in fence.body:
            if commands and commands[-1][0].endswith("\\"):
                commands[-1][0] += "\n" + line
            elif commands and not commands[-1][1] and line.startswith("> "):
                commands[-1][0] += "\n" + line[2:]
            elif line.startswith("$ "):
                commands.append([line[2:], []])
            elif commands:
                commands[-1][1].append(line)
            else:
                raise Wrong(f"found '{line}' first, wanted '$ COMMAND'")
        if not commands:
            raise Wrong("found no command, wanted '$ COMMAND'")
        for command, output in commands:
            wanted = (
                int(fence.options.get("exit", 0)) if command is commands[-1][0] else 0
            )
            status, printed = self.run(command, folder)
            if status != wanted:
                raise Wrong(
                    f"{command}: found status {status}, wanted {wanted}:\n{shorten(printed)}"
                )
            lines = [line.rstrip() for line in printed.splitlines()]
            if len(lines) not in ends_of_lines(output, lines, 0):
                raise Wrong(f"{command}: found another output:\n{shorten(printed)}")

    def program(self, fence, folder):
        name = fence.options.get("save", "snippet.mlir")
        (folder / name).write_text("\n".join(fence.body) + "\n")
        tool = fence.options.get("with", "te-opt")
        status, printed = self.run(f"{tool} {name} -o /dev/null", folder)
        if status:
            raise Wrong(f"{tool} refuses the program:\n{shorten(printed)}")

    def shell(self, fence):
        file = self.source / fence.options["by"]
        text = file.read_text()
        for line in "\n".join(fence.body).replace("\\\n", "").splitlines():
            for command in re.split(r"\|\|?|&&|;", re.sub(r"(^|\s)#.*", "", line)):
                words = shlex.split(command)
                while words and re.match(r"\w+=", words[0]):
                    words.pop(0)
                for word in words[:1] + [w for w in words[1:] if w.startswith("-")]:
                    word = word.split("=")[0]
                    if word.startswith("/"):
                        word = os.path.basename(word)
                    if word not in ("-", "--") and word not in text:
                        raise Wrong(f"found '{word}', which {file.name} has not")

    def block(self, fence, folder):
        """Checks one block."""
        language, options = fence.language, fence.options
        if language not in LANGUAGES:
            raise Wrong(
                f"found language '{language}', wanted one of {sorted(LANGUAGES)}"
            )
        how = set(options)
        if language == "console" and how <= {"exit"}:
            self.console(fence, folder)
        elif language == "sh" and how == {"by"}:
            self.shell(fence)
        elif language == "mlir" and how <= {"save", "with"}:
            self.program(fence, folder)
        elif how == {"file"}:
            text = (folder / options["file"]).read_text()
            body = fence.body
            if language == "mlir":
                body = [re.sub(r"(?<=\S)\s*// .*", "", line) for line in body]
            find(body, has_words, text, options["file"])
        elif how == {"from"}:
            text = (self.source / options["from"]).read_text()
            find(fence.body, has_lines, text, options["from"])
        else:
            raise Wrong(f"found options {sorted(how)}: no way to check a '{language}'")
        self.counts[language] = self.counts.get(language, 0) + 1

    def paths(self, page, text):
        """Yields what is wrong with paths and links."""
        text = re.sub(r"^\s*```.*?^\s*```", "", text, flags=re.S | re.M)
        for path in re.findall(rf"`({TREE}[^`\s]*)`", text):
            for name in expand_braces(path):
                if not any(self.source.glob(name.rstrip("/"))):
                    yield f"found `{path}`, wanted a path of the tree"
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            link = link.split("#")[0]
            if link and "://" not in link and not (page.parent / link).exists():
                yield f"found a link to {link}, wanted a file of the tree"

    def pages(self, chain):
        """Checks pages that share a folder; returns what is wrong."""
        folder = self.scratch / chain[0].stem
        folder.mkdir(parents=True)
        errors = []
        for page in chain:
            text = page.read_text(encoding="utf-8")
            name = page.relative_to(self.source)
            errors += [f"{name}: {error}" for error in self.paths(page, text)]
            for fence in read_fences(text):
                try:
                    self.block(fence, folder)
                except (Wrong, OSError, ValueError, subprocess.TimeoutExpired) as error:
                    errors.append(f"{name}:{fence.line}: {error}")
        return errors


def expand_braces(path):
    match = re.match(r"(.*?)\{([^}]*)\}(.*)$", path)
    if not match:
        return [path]
    return [
        name
        for part in match[2].split(",")
        for name in expand_braces(match[1] + part + match[3])
    ]


def chains_of(pages):
    """Pages in the order that they are to be checked in, those that go on in the
    folder of another behind that one."""
    chains, later = {page: [page] for page in pages}, []
    for page in pages:
        match = re.search(r"<!-- after: (\S+) -->", page.read_text(encoding="utf-8"))
        if match:
            later.append((page, page.parent / match[1]))
    for page, before in later:
        chain = next((chain for chain in chains.values() if chain[-1] == before), None)
        if chain is None or page in chain:
            raise SystemExit(f"error: {page}: found no page {before} to come after")
        chain += chains.pop(page)
    return list(chains.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("source", "build", "scratch"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument(
        "pages", nargs="*", help="instead of README.md and docs/**/*.md"
    )
    options = parser.parse_args()
    checker = Checker(options)
    pages = [pathlib.Path(page).resolve() for page in options.pages]
    if not pages:
        pages = [
            checker.source / "README.md",
            *sorted((checker.source / "docs").rglob("*.md")),
        ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = [
            error
            for found in pool.map(checker.pages, chains_of(pages))
            for error in found
        ]
    for error in errors:
        print(f"error: {error}")
    found = ", ".join(
        f"{count} {name}" for name, count in sorted(checker.counts.items())
    )
    print(f"{len(pages)} pages, blocks: {found or 'none'}")
    return 1 if errors or not checker.counts else 0


if __name__ == "__main__":
    sys.exit(main())
