"""reference.py: pages of reference, from ODS.

mlir-tblgen writes what the `.td` files say; here it becomes pages: a page for each
family of ops, tables of what there is, and a label for each name, so that any page
that has a name in code leads to it (conf.py).

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import re
import subprocess

# (page, title, file under include/te): passes in the order of a program's way.
PASSES = [
    ("rewrites", "Rewrites", "Dialect/TE/Transforms/Passes.td"),
    ("pipelines", "Passes on pipelines", "Pipelines/Passes.td"),
    ("lowering", "Lowering", "Conversion/TEToTERuntime/Passes.td"),
    ("memory", "Memory plans", "Dialect/TERuntime/Transforms/Passes.td"),
]
DIALECTS = [
    ("te", "Dialect/TE/IR/TEOps.td"),
    ("te_rt", "Dialect/TERuntime/IR/TERuntimeOps.td"),
]
INTERFACES = "Dialect/TE/IR/TEInterfaces.td"


def sections(text, level):
    """Splits at headings of `level` hashes: (what is in front, [(title, body)])."""
    front, found, fenced = [], [], False
    heading = re.compile("#" * level + r" (.*)$")
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        match = None if fenced else heading.match(line)
        if match:
            found.append((match[1], []))
        else:
            (found[-1][1] if found else front).append(line)
    return "\n".join(front), [(title, "\n".join(body)) for title, body in found]


def summary_of(body):
    """The line in italics that a description begins with, without these."""
    match = re.match(r"\s*_(.*)_\n", body)
    return match[1] if match else ""


def table(head, rows):
    """A table, or nothing where it has no rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"


def columns(block, pattern):
    """Rows of a block such as `-name : text`, texts of several lines joined."""
    rows = []
    for line in block.splitlines():
        match = re.match(pattern, line)
        if match:
            rows.append([f"`{match[1]}`", match[2]])
        elif line.strip():
            rows[-1][1] += " " + line.strip()
    return rows


class Reference:
    """The pages, by their path without `.md`."""

    def __init__(self, tblgen, include, mlir_include):
        self.tblgen, self.include, self.mlir_include = tblgen, include, mlir_include
        self.pages = {}
        self.names = {}
        self.implemented_by = {}

    def generate(self):
        """Makes all pages."""
        td_files = {
            str(path.relative_to(self.include / "te"))
            for path in (self.include / "te").rglob("Passes.td")
        }
        if td_files != {file for _, _, file in PASSES}:
            raise SystemExit(
                f"error: reference.py, PASSES: found {sorted(td_files)} in include/te, "
                "wanted the files that it lists"
            )
        for dialect, file in DIALECTS:
            self.add_dialect(
                dialect, self.run(file, "dialect-doc", f"-dialect={dialect}")
            )
        self.add_interfaces(self.run(INTERFACES, "op-interface-docs"))
        for page, title, file in PASSES:
            self.add_passes(page, title, self.run(file, "pass-doc"))
        self.pages["reference/index"] = self.index()

    def run(self, file, generator, *options):
        """What mlir-tblgen writes of a file under include/te."""
        command = [self.tblgen, f"-gen-{generator}", *options]
        command += ["-I", self.include, "-I", self.mlir_include]
        command.append(self.include / "te" / file)
        return subprocess.run(
            command, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def heading(self, name, page):
        """The heading of `name`, which is explained on `page`."""
        self.names[name] = page
        return f"({name})=\n## `{name}`\n\n"

    # Dialects -----------------------------------------------------------------

    def add_dialect(self, dialect, text):
        """Its description and a table of its ops on one page; families on others."""
        _, [(_, body)] = sections(text, 1)
        description, parts = sections(body, 2)
        parts = dict(parts)
        description = re.sub(r"\A\s*_.*_\n", "", description).replace("[TOC]", "")
        page = f"# Dialect `{dialect}`\n\n{description.strip()}\n\n"
        operations, level = parts.pop("Operations"), 4
        _, families = sections(operations, 3)
        alone = [title for title, _ in families if title.startswith("`")]
        if len(alone) == len(families):
            families, level = [(f"Ops of `{dialect}`", operations)], 3
        elif alone:
            raise SystemExit(f"error: {alone[0]}: found no opDocGroup, wanted a family")
        children = [self.add_family(dialect, level, *family) for family in families]
        for path, title, front, rows in children:
            page += f"## [{title}](/{path}.md)\n\n{front}\n\n"
            page += table(["op", "what it does"], rows)
        children = [path for path, *_ in children]
        if parts:
            path = f"reference/{dialect}/attributes"
            children.append(path)
            title = " and ".join(name.lower() for name in parts).capitalize()
            page += f"## [{title}](/{path}.md)\n\n"
            rows = self.add_attributes(dialect, path, title, parts)
            page += table(["name", "what it says"], rows)
        self.pages[f"reference/{dialect}"] = page + toctree(
            [path.removeprefix("reference/") for path in children]
        )

    def add_family(self, dialect, level, title, text):
        """One page of ops, whose headings have `level` hashes in `text`; returns its
        path, title, description and the rows of a table."""
        path = f"reference/{dialect}/{title.split(' of ')[0].lower().replace(' ', '-')}"
        front, ops = sections(text, level)
        front = front.strip()
        page, rows = f"# {title}\n\n{front}\n\n", []
        for heading, body in sorted(ops):
            name, cpp = re.fullmatch(r"`(\S+)` \((\S+)\)", heading).groups()
            rows.append([f"`{name}`", summary_of(body)])
            page += self.heading(name, path) + self.op(
                name, cpp, *sections(body, level + 1)
            )
        self.pages[path] = page
        return path, title, front, rows

    def op(self, name, cpp, body, tables):
        """The text of an op: what it means, then how it is written."""
        syntax = re.search(r"Syntax:\n\n(```\n.*?\n```)\n", body, re.S)
        text = body.replace(syntax[0], "") if syntax else body
        text, traits = re.sub(r"^(Traits|Effects): .*\n", "", text, flags=re.M), []
        interfaces = re.search(r"^Interfaces: (.*)\n", text, re.M)
        if interfaces:
            text = text.replace(interfaces[0], "")
            traits = interfaces[1].split(", ")
            # Upstream's two for an op without effects are one word.
            if "`ConditionallySpeculatable`" in traits:
                pure = {
                    "`ConditionallySpeculatable`",
                    "`NoMemoryEffect (MemoryEffectOpInterface)`",
                }
                traits = [part for part in traits if part not in pure] + ["`Pure`"]
        for trait in traits:
            self.implemented_by.setdefault(trait.strip("`"), []).append(name)
        text = re.sub(r"^(Constraints|Example):", r"**\1:**", text, flags=re.M).rstrip()
        for title, block in tables:
            text += f"\n\n**{title}**\n\n" + html_table(block.strip())
        if syntax:
            text += "\n\n**Syntax:**\n\n" + syntax[1]
        if traits:
            text += "\n\n**Interfaces:** " + ", ".join(traits)
        return text.lstrip() + f"\n\n**C++ class:** `{cpp}`\n\n"

    def add_attributes(self, dialect, path, title, parts):
        """The page of attributes, enums and types; returns the rows of a table."""
        page, rows = f"# {title} of `{dialect}`\n\n", []
        for body in parts.values():
            for name, text in sections(body, 3)[1]:
                text, tables = sections(text, 4)
                mnemonic = re.search(r"[#!]" + dialect + r"\.\w+", text)
                name = mnemonic[0] if mnemonic else name
                rows.append([f"`{name}`", summary_of(text)])
                page += self.heading(name, path) + text.strip() + "\n\n"
                for heading, block in tables:
                    page += f"**{heading}**\n\n{block.strip()}\n\n"
        self.pages[path] = page
        return rows

    # Interfaces and passes ----------------------------------------------------

    def add_interfaces(self, text):
        """One page, with the ops that implement each."""
        page, rows = "", []
        _, interfaces = sections(sections(text, 1)[1][0][1], 2)
        for heading, body in interfaces:
            name = heading.split()[0]
            front, [(_, methods)] = sections(body, 3)
            page += self.heading(name, "reference/interfaces") + front.strip() + "\n\n"
            ops = sorted(self.implemented_by.get(name, []))
            page += f"**Ops:** {', '.join(f'`{op}`' for op in ops)}.\n\n"
            for method, what in sections(methods, 4)[1]:
                what = what.replace(
                    "NOTE: This method *must* be implemented by the user.",
                    "Each op has to implement it.",
                )
                page += f"### {method}\n\n{what.strip()}\n\n"
            rows.append(
                [f"`{name}`", front.strip().split(".")[0].replace("\n", " ") + "."]
            )
        self.pages["reference/interfaces"] = (
            "# Interfaces\n\nHow an op takes part in passes: none of them knows an op "
            "by name, so one of another dialect is as good as one of `te`.\n\n"
            + table(["interface", "what it tells"], rows)
            + page
        )

    def add_passes(self, page, title, text):
        """One page of passes, in the order of their names."""
        rows, details = [], ""
        for heading, body in sections(text, 3)[1]:
            name = heading.strip("`-")
            exactness = re.search(r"Exactness: \*\*(.+?)\*\*", body)
            rows.append(
                [f"`{name}`", summary_of(body), exactness[1] if exactness else ""]
            )
            body, tables = sections(body, 4)
            details += self.heading(name, f"reference/{page}") + body.strip() + "\n\n"
            for what, block in tables:
                block = block.replace("```", "").strip("\n")
                pattern = r"-(\S+)\s+: (.*)" if what == "Options" else r"(\S+)\s+: (.*)"
                details += f"**{what}:**\n\n"
                details += table(
                    [what.lower().rstrip("s"), "what it is"], columns(block, pattern)
                )
        self.pages[f"reference/{page}"] = (
            f"# {title}\n\n"
            + table(["pass", "what it does", "exactness"], rows)
            + details
        )

    def index(self):
        """The front page of the reference."""
        page = (
            "# Reference\n\nMade from the sources: what is here is what the compiler "
            "and its verifiers are made of.\n\n"
            "- [Dialect `te`](te.md): expert layers, as values\n"
            "- [Dialect `te_rt`](te_rt.md): buffers, and calls of the runtime\n"
            "- [Interfaces](interfaces.md): how an op takes part in passes\n"
        )
        for path, title, _ in PASSES:
            page += f"- [{title}]({path}.md)\n"
        names = [name for name, _ in DIALECTS] + ["interfaces"]
        return page + "\n" + toctree(names + [path for path, _, _ in PASSES])


def html_table(block):
    """mlir-tblgen's HTML table of attributes as one of Markdown."""
    cells = [
        re.findall(r"<t[hd]>(.*?)</t[hd]>", row)
        for row in re.findall(r"<tr>.*?</tr>", block)
    ]
    if not cells:
        return block
    rows = [[re.sub(r"</?code>", "`", cell) for cell in row] for row in cells]
    rows = [rows[0]] + [[row[0], f"`{row[1]}`", *row[2:]] for row in rows[1:]]
    return table(rows[0], rows[1:]).rstrip()


def toctree(pages, caption=""):
    """The pages below this one, for the site's navigation alone."""
    head = "```{toctree}\n:hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return head + "\n" + "\n".join(pages) + "\n```\n\n"


def generate(tblgen, include, mlir_include, out):
    """Writes the pages under `out`; returns names, each with its page."""
    reference = Reference(tblgen, pathlib.Path(include), mlir_include)
    reference.generate()
    for path, text in reference.pages.items():
        file = pathlib.Path(out) / f"{path}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return reference.names
