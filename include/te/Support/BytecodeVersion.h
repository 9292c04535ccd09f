//===- BytecodeVersion.h - versions of a dialect in bytecode ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_SUPPORT_BYTECODEVERSION_H
#define TE_SUPPORT_BYTECODEVERSION_H

#include "mlir/Bytecode/BytecodeImplementation.h"

namespace mlir::te {

/// Writes the version of a dialect into bytecode, and reads any from `oldest` to
/// it; attributes and types are written as text. What each version promises
/// stands in docs/Compatibility.md.
class BytecodeVersion : public BytecodeDialectInterface {
public:
  BytecodeVersion(Dialect *dialect, uint64_t oldest, uint64_t current)
      : BytecodeDialectInterface(dialect), oldest(oldest), current(current) {}

  void writeVersion(DialectBytecodeWriter &writer) const final {
    writer.writeVarInt(current);
  }

  std::unique_ptr<DialectVersion>
  readVersion(DialectBytecodeReader &reader) const final {
    auto version = std::make_unique<Number>();
    if (failed(reader.readVarInt(version->value)))
      return nullptr;
    if (version->value >= oldest && version->value <= current)
      return version;
    InFlightDiagnostic error = reader.emitError();
    error << "dialect '" << getDialect()->getNamespace() << "': found version "
          << version->value << ", wanted ";
    if (oldest == current)
      error << current;
    else
      error << oldest << " to " << current;
    if (version->value > current)
      error << "; a newer te-opt wrote it";
    return nullptr;
  }

  LogicalResult upgradeFromVersion(Operation *program,
                                   const DialectVersion &version) const final {
    return upgrade(program, static_cast<const Number &>(version).value);
  }

  /// Brings a program that was written as `version` up to the current one.
  virtual LogicalResult upgrade(Operation *program, uint64_t version) const {
    return success();
  }

private:
  struct Number : DialectVersion {
    uint64_t value = 0;
  };
  uint64_t oldest, current;
};

} // namespace mlir::te

#endif // TE_SUPPORT_BYTECODEVERSION_H
