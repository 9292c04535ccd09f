"""Opens a file in te-lsp-server as an editor would, and prints what it answers.

usage: session.py FILE [--hover=TEXT | --complete-after=TEXT]...

Speaks the protocol over the server's standard input and output. Prints a line for each
message, with lines and columns from 1 and places as TEXT's first occurrence:

    diagnostic LINE:COLUMN SEVERITY MESSAGE      as the file is opened
    hover TEXT ... END                           the text shown over TEXT
    completion LABEL DETAIL                      each proposal behind TEXT
    exit STATUS                                  after shutdown and exit

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import json
import pathlib
import subprocess
import sys

SEVERITIES = {1: "error", 2: "warning", 3: "information", 4: "hint"}


class Server:
    def __init__(self):
        self.process = subprocess.Popen(
            ["te-lsp-server", "--log=error"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.requests = 0

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = None
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length is None:
            sys.exit("the server closed its output where a message was expected")
        return json.loads(self.process.stdout.read(length))

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def await_notification(self, method):
        while (message := self.receive()).get("method") != method:
            pass
        return message["params"]

    def request(self, method, params):
        self.requests += 1
        self.send({"id": self.requests, "method": method, "params": params})
        while (message := self.receive()).get("id") != self.requests:
            pass
        if "error" in message:
            sys.exit(f"{method}: {message['error']['message']}")
        return message["result"]

    def exit(self):
        self.request("shutdown", None)
        self.notify("exit", None)
        self.process.stdin.close()
        return self.process.wait()


def position(text, piece, after):
    """Where `piece` first lies in `text`, or ends, as the protocol counts."""
    offset = text.index(piece) + (len(piece) if after else 0)
    before = text[:offset]
    return {"line": before.count("\n"), "character": offset - (before.rfind("\n") + 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--hover", action="append", default=[])
    parser.add_argument("--complete-after", action="append", default=[])
    arguments = parser.parse_args()
    text = arguments.file.read_text()
    document = {"uri": arguments.file.absolute().as_uri()}

    server = Server()
    server.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
    server.notify("initialized", {})
    server.notify(
        "textDocument/didOpen",
        {"textDocument": {**document, "languageId": "mlir", "version": 1, "text": text}},
    )
    published = server.await_notification("textDocument/publishDiagnostics")
    assert published["uri"] == document["uri"], published
    for diagnostic in published["diagnostics"]:
        start = diagnostic["range"]["start"]
        print(
            f"diagnostic {start['line'] + 1}:{start['character'] + 1}",
            SEVERITIES[diagnostic["severity"]],
            diagnostic["message"],
        )
    for piece in arguments.hover:
        place = {"textDocument": document, "position": position(text, piece, False)}
        result = server.request("textDocument/hover", place)
        print(f"hover {piece}\n{result['contents']['value'].strip() if result else ''}\nEND")
    for piece in arguments.complete_after:
        place = {"textDocument": document, "position": position(text, piece, True)}
        for item in server.request("textDocument/completion", place)["items"]:
            print("completion", item["label"], item.get("detail", ""))
    print("exit", server.exit())


main()
