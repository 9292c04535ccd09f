"""check_links.py: follows the links of a folder of HTML, to their anchors.

Links out of the folder are looked at for their form alone.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import html.parser
import pathlib
import re
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """The anchors of a page, and where it leads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]


def dead_links(root):
    """Yields a line for each dead link in the pages under `root`."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.html"))
    }
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            where = f"{path.relative_to(root)}: {link}"
            if parts.scheme or parts.netloc:
                if parts.scheme != "data" and not (
                    parts.scheme == "https"
                    and re.fullmatch(r"[\w.-]+\.\w+", parts.netloc)
                ):
                    yield f"{where}: wanted https://HOST/..."
                continue
            target = path
            if parts.path:
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if not target.is_file():
                yield f"{where}: no such file"
            elif parts.fragment and target in pages:
                anchor = urllib.parse.unquote(parts.fragment)
                if anchor not in pages[target].anchors:
                    yield f"{where}: no such anchor"


def check(root):
    """Prints dead links; returns the exit status."""
    root = pathlib.Path(root).resolve()
    dead = list(dead_links(root))
    for line in dead:
        print(f"error: {line}", file=sys.stderr)
    if not any(root.rglob("*.html")):
        print(f"error: {root}: found no page", file=sys.stderr)
        return 1
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
