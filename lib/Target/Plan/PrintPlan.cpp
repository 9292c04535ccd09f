//===- PrintPlan.cpp - a plan for people ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Target/Plan/Plan.h"

#include "plan_generated.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
namespace plan = ::te::plan;

namespace {
/// Prints a plan whose structure is sound; what it refers to may not be there.
class PlanPrinter {
public:
  PlanPrinter(const plan::Plan &plan, raw_ostream &os) : plan(plan), os(os) {}
  void print();

private:
  void print(const plan::Program &program);
  void print(const plan::Argument &argument);
  void print(const plan::Tensor &tensor);
  void print(const plan::Call &call);
  void
  printSteps(const flatbuffers::Vector<flatbuffers::Offset<plan::Step>> *steps);
  void printTensor(uint32_t number);
  std::string
  lookup(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>
             *strings,
         uint32_t number);

  const plan::Plan &plan;
  raw_ostream &os;
  const plan::Program *program = nullptr;
  unsigned indent = 2;
};

template <typename List> size_t sizeOf(const List *list) {
  return list ? list->size() : 0;
}

/// Ends the line of what is packed.
template <typename List>
void printMembers(const List *members, raw_ostream &os) {
  if (sizeOf(members)) {
    os << ", members";
    for (const plan::Member *member : *members)
      os << " " << member->name()->str();
  }
  os << "\n";
}
} // namespace

std::string PlanPrinter::lookup(
    const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>
        *strings,
    uint32_t number) {
  return number < sizeOf(strings) ? strings->Get(number)->str()
                                  : "?" + std::to_string(number);
}

void PlanPrinter::print(const plan::Tensor &tensor) {
  os << plan::EnumNameSpace(tensor.space()) << " " << tensor.index() << " @"
     << tensor.offset();
  for (size_t i = 0; i < sizeOf(tensor.loop_strides()); ++i)
    os << " +" << tensor.loop_strides()->Get(i) << "*i" << i;
  os << " ";
  for (size_t i = 0; i < sizeOf(tensor.shape()); ++i)
    os << tensor.shape()->Get(i) << "x";
  os << plan::EnumNameDType(tensor.dtype());
  if (tensor.layout() != plan::ScaleLayout::NotScales) {
    os << " " << plan::EnumNameScaleLayout(tensor.layout());
    if (tensor.block_rows())
      os << " " << tensor.block_rows() << "x" << tensor.block_cols();
    if (tensor.groups())
      os << " groups " << tensor.groups();
  }
  if (tensor.on_host())
    os << " on host";
}

void PlanPrinter::printTensor(uint32_t number) {
  if (number < sizeOf(program->tensors()))
    print(*program->tensors()->Get(number));
  else
    os << "?" << number;
}

void PlanPrinter::print(const plan::Argument &argument) {
  os << "  argument " << plan::EnumNameDirection(argument.direction()) << " "
     << argument.name()->str() << ": ";
  printTensor(argument.tensor());
  if (argument.direction() == plan::Direction::In) {
    os << ", init " << plan::EnumNameInit(argument.init());
    if (argument.init() == plan::Init::Normal)
      os << " " << argument.deviation();
    if (argument.init() == plan::Init::Routing)
      os << " " << argument.num_experts();
  }
  if (argument.next() && argument.next()->size())
    os << ", next " << argument.next()->str();
  if (argument.group() && argument.group()->size())
    os << ", member " << argument.group_index() << " of "
       << argument.group()->str();
  printMembers(argument.members(), os);
}

void PlanPrinter::print(const plan::Call &call) {
  os.indent(indent) << lookup(plan.functions(), call.function()) << "(";
  for (size_t i = 0; i < sizeOf(call.slots()); ++i) {
    if (i)
      os << "; ";
    const auto *tensors = call.slots()->Get(i)->tensors();
    for (size_t j = 0; j < sizeOf(tensors); ++j) {
      if (j)
        os << ", ";
      printTensor(tensors->Get(j));
    }
    if (!sizeOf(tensors))
      os << "-";
  }
  os << ")";
  for (size_t i = 0; i < sizeOf(call.attributes()); ++i) {
    const plan::Attribute *attribute = call.attributes()->Get(i);
    if (const plan::Int *integer = attribute->value_as_Int())
      os << " " << integer->value();
    else if (const plan::Float *real = attribute->value_as_Float())
      os << " " << llvm::formatv("{0:e}", real->value()).str();
  }
  if (call.way() != plan::Way::Unset)
    os << " way " << plan::EnumNameWay(call.way());
  if (call.rather() != plan::Way::Unset)
    os << ", rather " << plan::EnumNameWay(call.rather());
  os << " // " << lookup(plan.cost_classes(), call.cost_class()) << ", "
     << lookup(plan.locations(), call.location()) << "\n";
}

void PlanPrinter::printSteps(
    const flatbuffers::Vector<flatbuffers::Offset<plan::Step>> *steps) {
  for (size_t i = 0; i < sizeOf(steps); ++i) {
    const plan::Step *step = steps->Get(i);
    if (const plan::Call *call = step->kind_as_Call()) {
      print(*call);
    } else if (const plan::Loop *loop = step->kind_as_Loop()) {
      os.indent(indent) << "loop " << loop->trip_count() << "\n";
      indent += 2;
      printSteps(loop->body());
      indent -= 2;
    }
  }
}

void PlanPrinter::print(const plan::Program &entry) {
  program = &entry;
  os << "program " << entry.name()->str() << ": arena " << entry.arena_bytes()
     << " bytes, ranks " << entry.ranks() << "\n";
  for (size_t i = 0; i < sizeOf(entry.arguments()); ++i)
    print(*entry.arguments()->Get(i));
  printSteps(entry.steps());
}

void PlanPrinter::print() {
  os << "plan version " << plan.version();
  if (plan.target())
    os << ", target " << plan.target()->str();
  os << "\n";
  for (size_t i = 0; i < sizeOf(plan.workspaces()); ++i) {
    const plan::Workspace &workspace = *plan.workspaces()->Get(i);
    os << "workspace " << i << " " << workspace.name()->str() << ": "
       << workspace.bytes() << " bytes";
    printMembers(workspace.members(), os);
  }
  for (size_t i = 0; i < sizeOf(plan.constants()); ++i)
    os << "constant " << i << ": " << sizeOf(plan.constants()->Get(i)->data())
       << " bytes\n";
  for (size_t i = 0; i < sizeOf(plan.programs()); ++i)
    print(*plan.programs()->Get(i));
}

llvm::Error mlir::te::printPlan(StringRef bytes, raw_ostream &os) {
  // The verifier wants aligned memory.
  std::vector<uint64_t> aligned((bytes.size() + 7) / 8);
  std::memcpy(aligned.data(), bytes.data(), bytes.size());
  auto *data = reinterpret_cast<const uint8_t *>(aligned.data());
  flatbuffers::Verifier::Options options;
  options.max_tables = 1 << 28;
  options.max_depth = 64;
  flatbuffers::Verifier verifier(data, bytes.size(), options);
  if (bytes.size() < 8 || !plan::PlanBufferHasIdentifier(data))
    return llvm::createStringError(
        "not a plan: the identifier must be %s at byte 4",
        plan::PlanIdentifier());
  if (!plan::VerifyPlanBuffer(verifier))
    return llvm::createStringError("a plan that is damaged or cut short");
  PlanPrinter(*plan::GetPlan(data), os).print();
  return llvm::Error::success();
}
