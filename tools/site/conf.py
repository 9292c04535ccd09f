"""conf.py: how Sphinx makes the site of docs/ and of the reference (build.py).

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import json
import os
import pathlib
import sys

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

sys.path.insert(0, os.path.dirname(__file__))

from mlir_lexer import MlirLexer  # noqa: E402

project = "te-opt"
html_title = "te-opt"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
highlight_language = "text"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
nitpicky = True


class LinkNames(SphinxTransform):
    """Makes `te.quantize` in code a link to its reference, outside of its own
    section, headings, and links that are there already."""

    default_priority = 500

    def apply(self):
        for node in list(self.document.findall(nodes.literal)):
            page, name = self.config.te_names.get(node.astext(), (None, None))
            if page is None or self.is_inside(node, nodes.make_id(name)):
                continue
            where = self.app.builder.get_relative_uri(self.env.docname, page)
            uri = f"{where}#{nodes.make_id(name)}"
            link = nodes.reference("", "", internal=True, refuri=uri)
            node.replace_self(link)
            link += node

    @staticmethod
    def is_inside(node, section):
        """Whether `node` is in that section, a heading or a link."""
        while (node := node.parent) is not None:
            if isinstance(node, (nodes.title, nodes.reference, addnodes.pending_xref)):
                return True
            if section in node.get("ids", ()):
                return True
        return False


def setup(app):
    names = json.loads((pathlib.Path(app.srcdir) / "names.json").read_text())
    app.add_config_value("te_names", names, "env")
    app.add_lexer("mlir", MlirLexer)
    app.add_transform(LinkNames)
