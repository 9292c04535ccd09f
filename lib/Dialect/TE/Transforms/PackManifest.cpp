//===- PackManifest.cpp - where packed members lie ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackManifest.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::te;

namespace {
class ManifestWriter {
public:
  explicit ManifestWriter(raw_ostream &os) : json(os, 2) {}
  void write(ModuleOp module);

private:
  void write(func::FuncOp function);
  /// Of one packed tensor; nothing where `attributes` tell no members.
  void write(StringRef kind, StringRef function, StringAttr name,
             int64_t position, Type type, DictionaryAttr attributes);

  llvm::json::OStream json;
};
} // namespace

void ManifestWriter::write(StringRef kind, StringRef function, StringAttr name,
                           int64_t position, Type type,
                           DictionaryAttr attributes) {
  auto members = attributes
                     ? attributes.getAs<ArrayAttr>(TEDialect::kMembersAttr)
                     : ArrayAttr();
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!members || members.empty() || !tensor || !tensor.hasStaticShape())
    return;
  int64_t elements = tensor.getNumElements() / int64_t(members.size());
  int64_t bytes = getBytes(tensor) / int64_t(members.size());
  json.object([&] {
    json.attribute("kind", kind);
    if (!function.empty())
      json.attribute("function", function);
    json.attribute("name", name ? name.getValue() : "");
    if (position >= 0)
      json.attribute("position", position);
    json.attributeArray("shape", [&] {
      for (int64_t extent : tensor.getShape())
        json.value(extent);
    });
    std::string element;
    llvm::raw_string_ostream(element) << tensor.getElementType();
    json.attribute("element", element);
    json.attribute("bytes", getBytes(tensor));
    json.attributeArray("members", [&] {
      for (auto [e, member] : llvm::enumerate(members.getAsRange<StringAttr>()))
        json.object([&, e = int64_t(e), member = member] {
          json.attribute("name", member.getValue());
          json.attribute("index", e);
          json.attribute("element_offset", e * elements);
          json.attribute("byte_offset", e * bytes);
        });
    });
  });
}

void ManifestWriter::write(func::FuncOp function) {
  auto nameOf = [](DictionaryAttr attributes) {
    return attributes ? attributes.getAs<StringAttr>(TEDialect::kNameAttr)
                      : StringAttr();
  };
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    DictionaryAttr attributes = function.getArgAttrDict(i);
    write("argument", function.getName(), nameOf(attributes), i, type,
          attributes);
  }
  for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
    DictionaryAttr attributes = function.getResultAttrDict(i);
    write("result", function.getName(), nameOf(attributes), i, type,
          attributes);
  }
}

void ManifestWriter::write(ModuleOp module) {
  json.object([&] {
    json.attributeArray("packed", [&] {
      for (auto function : module.getOps<func::FuncOp>())
        write(function);
      for (auto global : module.getOps<ml_program::GlobalOp>())
        write("global", "", global.getSymNameAttr(), -1, global.getType(),
              global->getDiscardableAttrDictionary());
    });
  });
}

void te::writePackManifest(ModuleOp module, raw_ostream &os) {
  ManifestWriter(os).write(module);
  os << "\n";
}
