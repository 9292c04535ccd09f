"""build.py: makes the site of docs/: tools/scripts/site calls it.

Copies docs/, adds the reference that mlir-tblgen writes from the .td files, renders
both with Sphinx, where any warning is an error, and then follows every link of the
result, to its anchor.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import json
import pathlib
import re
import shutil
import sys

from sphinx.cmd.build import main as sphinx

import check_links
import reference

SITE = pathlib.Path(__file__).resolve().parent
ROOT = SITE.parent.parent

# The navigation: what stands at the head of a group, and its pages. Pages of docs/
# itself that none names are in the last; Sphinx warns of any other.
NAVIGATION = [
    ("Start", ["Tour", "tutorials/FirstLayer"]),
    ("Embed", ["tutorials/EmbedInCpp", "tutorials/DeployFromC"]),
    (
        "Extend",
        ["tutorials/AddAnOp", "tutorials/AddARewrite", "tutorials/AddAKernel"],
    ),
    ("Reference", ["reference/index"]),
    ("Project", []),
]


def stage_docs(staged):
    """Copies docs/. A link to a file of the tree outside of docs/, which a reader of
    the sources can follow, becomes its text."""
    shutil.copytree(ROOT / "docs", staged)
    for page in staged.rglob("*.md"):
        here = ROOT / "docs" / page.relative_to(staged).parent

        def resolve(match):
            target = (here / match[2]).resolve()
            if target.is_relative_to(ROOT / "docs"):
                return match[0]
            if not target.exists():
                raise SystemExit(
                    f"error: {page.relative_to(staged)}: found a link to {match[2]}, "
                    "wanted a file of the tree"
                )
            return match[1]

        text = page.read_text(encoding="utf-8")
        text = re.sub(r"(?<!!)\[([^\]]+)\]\((\.\.[^)#]*)\)", resolve, text)
        page.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "site")
    parser.add_argument(
        "--mlir-include",
        type=pathlib.Path,
        default="/usr/lib/llvm-22/include",
        help="MLIR's headers; mlir-tblgen lies in ../bin",
    )
    options = parser.parse_args()

    out = options.out.resolve()
    work = out.parent / f"{out.name}.work"
    for folder in (out, work):
        shutil.rmtree(folder, ignore_errors=True)
    staged = work / "source"
    stage_docs(staged)
    tblgen = options.mlir_include.parent / "bin" / "mlir-tblgen"
    names = reference.generate(tblgen, ROOT / "include", options.mlir_include, staged)
    # A pass is written with dashes too.
    links = {}
    for name, page in names.items():
        links[name] = links[f"--{name}"] = (page, name)
    (staged / "names.json").write_text(json.dumps(links))
    named = {"index"}.union(*(pages for _, pages in NAVIGATION))
    rest = sorted({page.stem for page in staged.glob("*.md")} - named)
    with (staged / "index.md").open("a", encoding="utf-8") as index:
        for caption, pages in NAVIGATION:
            index.write("\n" + reference.toctree(pages or rest, caption))
    arguments = [
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        SITE,
        "-d",
        work / "trees",
    ]
    if sphinx([str(argument) for argument in [*arguments, staged, out]]):
        return 1
    shutil.rmtree(work)
    return check_links.check(out)


if __name__ == "__main__":
    sys.exit(main())
