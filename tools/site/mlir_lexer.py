"""mlir_lexer.py: colours for MLIR on the site; Pygments has no lexer of its own.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

from pygments.lexer import RegexLexer, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
)


class MlirLexer(RegexLexer):
    """Tokens of MLIR's text form. Elided IR (`...`) has no error in it."""

    name = "MLIR"
    aliases = ["mlir"]
    tokens = {
        "root": [
            (r"//.*?$", Comment.Single),
            (r'"(\\.|[^"\\])*"', String),
            (r"%[\w$.\-]+(#\d+)?(:\d+)?", Name.Variable),
            (r"@[\w$.\-]+", Name.Function),
            (r"\^[\w$.\-]+", Name.Label),
            (r"[#!][a-zA-Z_][\w$.]*", Name.Attribute),
            (r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+", Name.Builtin),
            (words(("module", "return", "func", "attributes"), suffix=r"\b"), Keyword),
            # The dimensions of a shape, then its element.
            (r"(\d+|\?)(?=x)", Number.Integer),
            (r"x(?=[\d?])", Punctuation),
            (
                r"x?(bf16|f16|f32|f64|f[468]E\w+|[su]?i\d+|index|none)\b",
                Keyword.Type,
            ),
            (r"(tensor|vector|memref|tuple)(?=<)", Keyword.Type),
            (r"-?\d+\.\d*([eE][-+]?\d+)?|-?\d+|0x[0-9a-fA-F]+", Number),
            (r"->|=|:", Operator),
            (r"[a-zA-Z_]\w*", Name),
            (r"[\s]+", Text),
            (r"[<>()\[\]{},*]", Punctuation),
            (r".", Text),
        ]
    }
