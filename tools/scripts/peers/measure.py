"""Forms of one step, measured in alternation.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import statistics

import torch

OURS, COPY = "te-opt", "copy"


class Step:
    """One step: `make` gives, for one set of buffers, its forms by name, and a
    check, which says what is wrong after each has run once, or None.

    `move` is the bytes that any form must move, `flops` what a product computes.
    """

    def __init__(self, name, make, move, flops=0):
        self.name, self.make, self.move, self.flops = name, make, move, flops


class Bench:
    def __init__(self, runtime, replays=15, seconds=1.0):
        self.runtime, self.stream = runtime, runtime.stream
        self.replays, self.seconds = replays, seconds
        self.rows = []
        self.wrong = []

    def capture(self, calls, times):
        for call in calls:
            call()
        self.stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, stream=self.stream, capture_error_mode="relaxed"
        ):
            for _ in range(times):
                for call in calls:
                    call()
        return graph

    def replay(self, graph):
        """Microseconds."""
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record(self.stream)
        graph.replay()
        end.record(self.stream)
        end.synchronize()
        return begin.elapsed_time(end) * 1e3

    def run(self, step):
        with torch.cuda.stream(self.stream):
            self._run(step)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()

    def _run(self, step):
        # Sets that pass the L2 several times over take turns.
        sets = 1
        if step.move < 512 << 20:
            sets = max(2, min(32, (512 << 20) // max(step.move, 1)))
        made, check = [], None
        for index in range(sets):
            forms, wrong = step.make()
            made.append(forms)
            check = check or wrong
        for form in made[0].values():
            form()
        self.stream.synchronize()
        if check and (wrong := check()):
            self.wrong.append(f"{step.name}: {wrong}")
        times = 1 if step.move > 100 << 20 else max(1, 64 // sets)
        graphs = {
            name: self.capture([forms[name] for forms in made], times)
            for name in made[0]
        }
        size = min(max(step.move // 2, 256 << 20), 4 << 30) // 4096 * 4096
        source = torch.randint(
            0, 255, (size,), dtype=torch.uint8, device="cuda"
        )
        target = torch.empty_like(source)
        graphs[COPY] = self.capture([self.runtime.call("copy", source, target)], 1)
        first = {name: self.replay(graph) for name, graph in graphs.items()}
        replays = int(self.seconds * 1e6 / sum(first.values()))
        replays = max(3, min(self.replays, replays))
        measured = {name: [] for name in graphs}
        for _ in range(replays):
            for name, graph in graphs.items():
                measured[name].append(self.replay(graph))
        copies = statistics.median(measured.pop(COPY))
        copy_rate = 2 * size / copies / 1e3
        calls = sets * times
        ours = statistics.median(measured[OURS]) / calls
        best = None
        for name, found in measured.items():
            median = statistics.median(found) / calls
            if name != OURS and (best is None or median < best):
                best = median
            self.rows.append(
                {
                    "step": step.name,
                    "form": name,
                    "us": median,
                    "spread": (max(found) - min(found)) / calls / median,
                    "bytes": step.move,
                    "gbs": step.move / median / 1e3,
                    "copy": copy_rate,
                    "share": step.move / median / 1e3 / copy_rate,
                    "tflops": step.flops / median / 1e6,
                    "ratio": median / ours,
                }
            )
        for row in self.rows:
            if row["step"] == step.name and row["form"] == OURS and best:
                row["ratio"] = best / ours

    def table(self):
        """A line for each form. The ratio of a peer is its time by ours, that of
        ours the best peer's time by it: above 1 is faster than all peers."""
        header = (
            "step form us spread bytes GB/s of-copy TFLOP/s ratio".split()
        )
        lines = [header]
        for row in self.rows:
            lines.append(
                [
                    row["step"] if row["form"] == OURS else "",
                    row["form"],
                    f"{row['us']:.2f}",
                    f"{100 * row['spread']:.1f}%",
                    str(row["bytes"]),
                    f"{row['gbs']:.0f}",
                    f"{row['share']:.3f}",
                    f"{row['tflops']:.0f}" if row["tflops"] else "-",
                    f"{row['ratio']:.2f}",
                ]
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        )

