"""random_programs.py SEED COUNT: prints COUNT functions of nested loops, views,
insertions and accumulations that reuse values in every order.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import random
import sys

MATRIX, PACKED = "tensor<4x4xf32>", "tensor<3x4x4xf32>"


class Function:
    def __init__(self, choose, name):
        self.choose, self.lines, self.values = choose, [], 0
        matrices, packed = ["%x", "%y", "%z"], ["%p", "%zp"]
        self.block(matrices, packed, [], choose.randint(4, 14))
        types = f"{MATRIX}, {MATRIX}, {PACKED}, {PACKED}"
        results = choose.choices(matrices[-5:], k=2) + choose.choices(packed[-3:], k=2)
        self.text = "\n".join(
            [f"func.func @{name}(%x: {MATRIX}, %y: {MATRIX}, %p: {PACKED}) -> ({types}) {{"]
            + [f"%c{n} = arith.constant {n} : index" for n in (0, 1, 3)]
            + [f"%z = arith.constant dense<0.5> : {MATRIX}"]
            + [f"%zp = arith.constant dense<0.25> : {PACKED}"]
            + self.lines
            + [f"return {', '.join(results)} : {types}", "}"]
        )

    def new(self):
        self.values += 1
        return f"%v{self.values}"

    def block(self, matrices, packed, counters, length):
        """Adds ops, and their results to the lists of what may be used."""
        ops = [self.transpose, self.gemm, self.gemm, self.member, self.insert]
        ops += [self.loop] if len(counters) < 2 else []
        ops += [self.load, self.store] if not counters else []
        for _ in range(length):
            self.choose.choice(ops)(matrices, packed, counters)

    def transpose(self, matrices, packed, counters):
        result, value = self.new(), self.choose.choice(matrices)
        self.lines.append(f"{result} = te.transpose {value} : {MATRIX} -> {MATRIX}")
        matrices.append(result)

    def gemm(self, matrices, packed, counters):
        result, (lhs, rhs) = self.new(), self.choose.choices(matrices, k=2)
        out = self.choose.choice(matrices[-3:])
        accumulate = self.choose.choice(["", "{accumulate} ", "{accumulate} "])
        self.lines.append(
            f"{result} = te.gemm {lhs}, {rhs} outs({out}) {accumulate}"
            f": ({MATRIX}, {MATRIX}, {MATRIX}) -> {MATRIX}"
        )
        matrices.append(result)

    def index(self, counters):
        return self.choose.choice(["0", "1", "2"] + counters * 3)

    def member(self, matrices, packed, counters):
        result, value = self.new(), self.choose.choice(packed[-3:])
        self.lines.append(
            f"{result} = te.member {value}[{self.index(counters)}] : {PACKED} -> {MATRIX}"
        )
        matrices.append(result)

    def insert(self, matrices, packed, counters):
        result, value = self.new(), self.choose.choice(matrices[-3:])
        into = self.choose.choice(packed[-2:])
        self.lines.append(
            f"{result} = te.insert_member {value} into {into}[{self.index(counters)}] "
            f": {MATRIX} -> {PACKED}"
        )
        packed.append(result)

    def load(self, matrices, packed, counters):
        result = self.new()
        self.lines.append(f"{result} = ml_program.global_load @g : {MATRIX}")
        matrices.append(result)

    def store(self, matrices, packed, counters):
        value = self.choose.choice(matrices[-2:])
        self.lines.append(f"ml_program.global_store @g = {value} : {MATRIX}")

    def loop(self, matrices, packed, counters):
        inits = self.choose.choices(matrices[-4:], k=self.choose.randint(1, 2))
        count = len(inits)
        inits += self.choose.choices(packed[-3:], k=self.choose.randint(0, 2))
        types = [MATRIX] * count + [PACKED] * (len(inits) - count)
        result, counter = self.new(), self.new()
        carried = [self.new() for _ in inits]
        pairs = ", ".join(f"{a} = {b}" for a, b in zip(carried, inits))
        self.lines.append(
            f"{result}:{len(inits)} = scf.for {counter} = %c{self.choose.randint(0, 1)} "
            f"to %c3 step %c1 iter_args({pairs}) -> ({', '.join(types)}) {{"
        )
        inner, inner_packed = matrices + carried[:count], packed + carried[count:]
        self.block(inner, inner_packed, counters + [counter], self.choose.randint(1, 5))
        yields = self.choose.choices(inner[-4:], k=count)
        yields += self.choose.choices(inner_packed[-4:], k=len(inits) - count)
        self.lines += [f"scf.yield {', '.join(yields)} : {', '.join(types)}", "}"]
        matrices += [f"{result}#{i}" for i in range(count)]
        packed += [f"{result}#{i}" for i in range(count, len(inits))]


def main():
    choose = random.Random(int(sys.argv[1]))
    print(f"ml_program.global private mutable @g : {MATRIX}")
    for i in range(int(sys.argv[2])):
        print(Function(choose, f"f{i}").text)


main()
