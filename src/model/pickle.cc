// SPDX-License-Identifier: Apache-2.0
#include "model/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "model/cursor.h"

namespace upres {
namespace {

// Python's pickler fills lists and dicts in batches of 1000; only a tuple grows on the stack, and
// those of a state dict have up to 7 items.
constexpr size_t kMaxStack = size_t{1} << 16;
// Marks nest as deep as the values do: five deep in a state dict, a dozen in a checkpoint.
constexpr size_t kMaxMarks = 256;

constexpr std::string_view kNextStep =
    "save the weights alone, by torch.save(model.state_dict(), ...), and load that file";

/// Opcodes as Python's pickletools names them.
enum class Opcode : uint8_t {
  mark = '(',
  stop = '.',
  binfloat = 'G',
  binint = 'J',
  binint1 = 'K',
  binint2 = 'M',
  none = 'N',
  binpersid = 'Q',
  reduce = 'R',
  binstring = 'T',
  short_binstring = 'U',
  binunicode = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  appends = 'e',
  binget = 'h',
  long_binget = 'j',
  binput = 'q',
  long_binput = 'r',
  setitem = 's',
  tuple = 't',
  setitems = 'u',
  empty_tuple = ')',
  empty_list = ']',
  empty_dict = '}',
  proto = 0x80,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  newtrue = 0x88,
  newfalse = 0x89,
  long1 = 0x8a,
  short_binunicode = 0x8c,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
};

struct Global {
  std::string_view module;
  std::string_view name;
  std::variant<Pickle::Function, DType> meaning;
};

/// Every name that a pickle may use.
constexpr Global kGlobals[] = {
    {"collections", "OrderedDict", Pickle::Function::ordered_dict},
    {"collections", "Counter", Pickle::Function::counter},
    {"torch", "Size", Pickle::Function::size},
    {"torch._utils", "_rebuild_tensor", Pickle::Function::rebuild_tensor_v1},
    {"torch._utils", "_rebuild_tensor_v2", Pickle::Function::rebuild_tensor_v2},
    {"torch._utils", "_rebuild_parameter", Pickle::Function::rebuild_parameter},
    {"torch", "HalfStorage", DType::f16},
    {"torch", "BFloat16Storage", DType::bf16},
    {"torch", "FloatStorage", DType::f32},
    {"torch", "DoubleStorage", DType::f64},
    {"torch", "ByteStorage", DType::u8},
    {"torch", "CharStorage", DType::i8},
    {"torch", "ShortStorage", DType::i16},
    {"torch", "IntStorage", DType::i32},
    {"torch", "LongStorage", DType::i64},
    {"torch", "BoolStorage", DType::boolean},
    // in tar files: the tensors' types, which say no more than their storages'
    {"torch", "HalfTensor", DType::f16},
    {"torch", "FloatTensor", DType::f32},
    {"torch", "DoubleTensor", DType::f64},
    {"torch", "ByteTensor", DType::u8},
    {"torch", "CharTensor", DType::i8},
    {"torch", "ShortTensor", DType::i16},
    {"torch", "IntTensor", DType::i32},
    {"torch", "LongTensor", DType::i64},
    {"torch.cuda", "HalfTensor", DType::f16},
    {"torch.cuda", "FloatTensor", DType::f32},
    {"torch.cuda", "DoubleTensor", DType::f64},
    {"torch.cuda", "LongTensor", DType::i64},
};

/// How many elements a tensor reaches over, from the first that its offset counts from; nothing
/// when it overflows or a number is negative.
std::optional<int64_t> reach_of(const Pickle::StridedTensor& tensor) {
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    int64_t steps = 0;
    if (tensor.strides[i] < 0 ||
        __builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &steps) ||
        __builtin_add_overflow(last, steps, &last)) {
      return std::nullopt;
    }
  }
  if (tensor.offset < 0 || last == INT64_MAX) return std::nullopt;
  return last + 1;
}

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, size_t max_values)
      : in_(bytes, "the pickle"), max_values_(max_values) {}

  Pickle run() {
    while (true) {
      at_ = in_.position();
      if (at_ >= kMaxPickleBytes) limit("bytes", kMaxPickleBytes);
      const auto opcode = Opcode(in_.read<uint8_t>());
      if (opcode == Opcode::stop) break;
      step(opcode);
    }
    result_.root = pop();
    result_.size_bytes = in_.position();
    return std::move(result_);
  }

 private:
  using Id = Pickle::Id;
  using Value = Pickle::Value;

  void step(Opcode opcode) {
    switch (opcode) {
      case Opcode::proto:  // the opcodes themselves tell what is needed
        in_.take(1);
        return;
      case Opcode::frame:  // a hint for readers of streams
        in_.take(8);
        return;

      case Opcode::none:
        return push(Pickle::None{});
      case Opcode::newtrue:
        return push(true);
      case Opcode::newfalse:
        return push(false);
      case Opcode::binint:
        return push(int64_t{in_.read<int32_t>()});
      case Opcode::binint1:
        return push(int64_t{in_.read<uint8_t>()});
      case Opcode::binint2:
        return push(int64_t{in_.read<uint16_t>()});
      case Opcode::long1:
        return push(long_integer(in_.take(in_.read<uint8_t>())));
      case Opcode::binfloat:
        return push(big_endian_double(in_.take(8)));
      case Opcode::binstring:  // Python 2's: its length is signed, and too long when negative
      case Opcode::binunicode:
        return push(in_.text(in_.read<uint32_t>()));
      case Opcode::short_binstring:
      case Opcode::short_binunicode:
        return push(in_.text(in_.read<uint8_t>()));

      case Opcode::mark:
        return push_mark();
      case Opcode::empty_tuple:
      case Opcode::empty_list:
        return push(Pickle::Sequence{});
      case Opcode::empty_dict:
        return push(Pickle::Dict{});
      case Opcode::tuple1:
        return push(Pickle::Sequence{pop_many(1)});
      case Opcode::tuple2:
        return push(Pickle::Sequence{pop_many(2)});
      case Opcode::tuple3:
        return push(Pickle::Sequence{pop_many(3)});
      case Opcode::tuple:
        return push(Pickle::Sequence{pop_to_mark()});
      case Opcode::append:
        return append(pop_many(1));
      case Opcode::appends:
        return append(pop_to_mark());
      case Opcode::setitem:
        return set_items(pop_many(2));
      case Opcode::setitems:
        return set_items(pop_to_mark());

      case Opcode::binput:
        return memoize(in_.read<uint8_t>());
      case Opcode::long_binput:
        return memoize(in_.read<uint32_t>());
      case Opcode::memoize:
        return memoize(uint32_t(memo_.size()));
      case Opcode::binget:
        return recall(in_.read<uint8_t>());
      case Opcode::long_binget:
        return recall(in_.read<uint32_t>());

      case Opcode::global: {
        const std::string_view module = in_.line();
        return push_global(module, in_.line());
      }
      case Opcode::stack_global: {
        const auto name = expect<std::string_view>(pop(), "a name");
        return push_global(expect<std::string_view>(pop(), "a module's name"), name);
      }
      case Opcode::reduce: {
        const auto& arguments = expect<Pickle::Sequence>(pop(), "arguments").items;
        return call(expect<Pickle::Function>(pop(), "a function"), arguments);
      }
      case Opcode::build:  // attributes: a state dict's _metadata, which no weights depend on
        pop();
        expect<Pickle::Dict>(top(), "a dict");
        return;
      case Opcode::binpersid:
        return push_persistent(pop());

      case Opcode::stop:
        break;
    }
    fail(ErrorCode::model,
         "the pickle holds opcode 0x{:02x} at byte {}, which tensors do not need; {}",
         uint8_t(opcode), at_, kNextStep);
  }

  // --- numbers ---

  int64_t long_integer(std::span<const std::byte> bytes) const {
    if (bytes.size() > sizeof(int64_t)) {
      fail(ErrorCode::model, "the pickle holds an integer of {} bytes at byte {}, more than 8",
           bytes.size(), at_);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t(bytes[i]) << (8 * i);
    const bool negative = !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
    if (negative && bytes.size() < sizeof value) value |= ~uint64_t{0} << (8 * bytes.size());
    return int64_t(value);
  }

  static double big_endian_double(std::span<const std::byte> bytes) {
    std::array<std::byte, sizeof(double)> reversed;
    std::copy(bytes.rbegin(), bytes.rend(), reversed.begin());
    return std::bit_cast<double>(reversed);
  }

  // --- the stack ---

  void push(Value value) {
    if (result_.values.size() >= max_values_) limit("values", max_values_);
    result_.values.push_back(std::move(value));
    push_id(Id(result_.values.size() - 1));
  }

  void push_id(Id id) {
    if (stack_.size() >= kMaxStack) limit("values on its stack", kMaxStack);
    stack_.push_back(id);
  }

  void push_mark() {
    if (marks_.size() >= kMaxMarks) limit("nested marks", kMaxMarks);
    marks_.push_back(stack_.size());
  }

  /// Values above the last mark: others belong to what is being built around it.
  size_t reachable() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  std::vector<Id> pop_many(size_t count) {
    if (count > reachable()) damaged("takes a value from an empty stack");
    std::vector<Id> items(stack_.end() - ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) damaged("looks for a mark that is not there");
    std::vector<Id> items = pop_many(reachable());
    marks_.pop_back();
    return items;
  }

  Id pop() { return pop_many(1)[0]; }

  Id top() const {
    if (reachable() == 0) damaged("looks at an empty stack");
    return stack_.back();
  }

  template <typename T>
  T& expect(Id id, std::string_view what) {
    T* value = std::get_if<T>(&result_.values[id]);
    if (!value) damaged(fmt::format("has something else where {} belongs", what));
    return *value;
  }

  // --- containers and the memo ---

  void append(const std::vector<Id>& items) {
    auto& list = expect<Pickle::Sequence>(top(), "a list").items;
    list.insert(list.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<Id>& items) {
    if (items.size() % 2 != 0) damaged("sets a key without a value");
    auto& entries = expect<Pickle::Dict>(top(), "a dict").entries;
    for (size_t i = 0; i < items.size(); i += 2) entries.emplace_back(items[i], items[i + 1]);
  }

  void memoize(uint32_t index) {
    if (memo_.size() >= max_values_) limit("remembered values", max_values_);
    memo_[index] = top();
  }

  void recall(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) damaged(fmt::format("recalls value {}, never remembered", index));
    push_id(found->second);
  }

  // --- names, calls, tensors ---

  void push_global(std::string_view module, std::string_view name) {
    for (const Global& global : kGlobals) {
      if (global.module == module && global.name == name) {
        return std::visit([&](auto meaning) { push(meaning); }, global.meaning);
      }
    }
    fail(ErrorCode::model,
         "the file wants to call {}.{}; upres never runs code from a model file: {}", module, name,
         kNextStep);
  }

  void call(Pickle::Function function, const std::vector<Id>& arguments) {
    switch (function) {
      case Pickle::Function::ordered_dict:
        return push(ordered_dict(arguments));
      case Pickle::Function::counter:  // (dict): the milestones of a learning rate's schedule
        if (arguments.size() != 1) damaged("makes a Counter of other than one dict");
        expect<Pickle::Dict>(arguments[0], "a dict");
        return push_id(arguments[0]);
      case Pickle::Function::size:  // (tuple)
        if (arguments.size() != 1) damaged("makes a torch.Size of other than one tuple");
        expect<Pickle::Sequence>(arguments[0], "a tuple");
        return push_id(arguments[0]);
      case Pickle::Function::rebuild_tensor_v1:  // (storage, offset, shape, strides)
        if (arguments.size() != 4) damaged("rebuilds a tensor from other than 4 arguments");
        return push(rebuild_tensor(arguments));
      case Pickle::Function::rebuild_tensor_v2:  // (..., requires_grad, hooks[, metadata])
        if (arguments.size() < 6) damaged("rebuilds a tensor from fewer than 6 arguments");
        return push(rebuild_tensor(arguments));
      case Pickle::Function::rebuild_parameter:  // (tensor, requires_grad, hooks)
        if (arguments.size() != 3) damaged("rebuilds a parameter from other than 3 arguments");
        return push_id(arguments[0]);
    }
  }

  /// () or, by Python 2, a list of its entries: ([[key, value], ...])
  Pickle::Dict ordered_dict(const std::vector<Id>& arguments) {
    Pickle::Dict dict;
    if (arguments.empty()) return dict;
    if (arguments.size() != 1) damaged("makes an OrderedDict of more than a list");
    const auto& pairs = expect<Pickle::Sequence>(arguments[0], "a list of entries").items;
    // Few bytes would be enough to copy a long list many times; each of a file's is used once.
    copied_entries_ += pairs.size();
    if (copied_entries_ > max_values_) limit("entries in OrderedDicts", max_values_);
    for (const Id pair : pairs) {
      const auto& entry = expect<Pickle::Sequence>(pair, "a key and a value").items;
      if (entry.size() != 2) damaged("has something else where a key and a value belong");
      dict.entries.emplace_back(entry[0], entry[1]);
    }
    return dict;
  }

  /// (storage, offset, shape, strides, ...)
  Pickle::StridedTensor rebuild_tensor(const std::vector<Id>& arguments) {
    if (++tensors_ > kMaxTensors) limit("tensors", kMaxTensors);
    const auto& storage = expect<Pickle::Storage>(arguments[0], "a storage");
    Pickle::StridedTensor tensor{arguments[0], expect<int64_t>(arguments[1], "an offset"),
                                 integers(arguments[2], "a shape"),
                                 integers(arguments[3], "strides")};
    if (tensor.shape.size() != tensor.strides.size()) {
      damaged(fmt::format("gives {} strides to a tensor of {} dimensions", tensor.strides.size(),
                          tensor.shape.size()));
    }
    check_lies_in_storage(tensor, storage);
    // An empty tensor may have any offset; those of others lie in the view, and so does the sum.
    if (element_count(tensor.shape) != 0) tensor.offset += storage.view_offset;
    return tensor;
  }

  std::vector<int64_t> integers(Id id, std::string_view what) {
    const auto& items = expect<Pickle::Sequence>(id, what).items;
    if (items.size() > kMaxDimensions) limit("dimensions in a tensor", kMaxDimensions);
    std::vector<int64_t> numbers;
    for (const Id item : items) numbers.push_back(expect<int64_t>(item, what));
    return numbers;
  }

  /// What lies beside the pickle: storages, by a tuple; in tar files tensors, by a key.
  void push_persistent(Id id) {
    if (const auto* key = result_.as<std::string_view>(id)) return push(Pickle::Reference{*key});
    push_storage(expect<Pickle::Sequence>(id, "a storage's tuple").items);
  }

  /// ("storage", type, key, device, count[, view]), where view is None or (key, offset, count)
  void push_storage(const std::vector<Id>& fields) {
    if (fields.size() < 5 || fields.size() > 6 ||
        expect<std::string_view>(fields[0], "'storage'") != "storage") {
      damaged("refers to something beside it that is not a storage");
    }
    const auto count = expect<int64_t>(fields[4], "a storage's size");
    Pickle::Storage storage{expect<DType>(fields[1], "a storage's type"),
                            expect<std::string_view>(fields[2], "a storage's key"), count, 0,
                            count};
    if (fields.size() == 6 && !result_.as<Pickle::None>(fields[5])) {
      const auto& view = expect<Pickle::Sequence>(fields[5], "a storage's view").items;
      if (view.size() != 3) damaged("has something else where a storage's view belongs");
      storage.view_offset = expect<int64_t>(view[1], "a view's offset");
      storage.view_count = expect<int64_t>(view[2], "a view's size");
      check_lies_in_storage(storage);
    }
    push(storage);
  }

  // --- refusals ---

  [[noreturn]] void damaged(std::string_view what) const {
    fail(ErrorCode::model, "the pickle is damaged: at byte {} it {}", at_, what);
  }

  [[noreturn]] static void limit(std::string_view what, size_t most) {
    fail(ErrorCode::model, "the pickle has more than {} {}, far beyond any network", most, what);
  }

  Cursor in_;
  size_t max_values_;
  size_t at_ = 0;  ///< where the opcode at work begins
  Pickle result_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  ///< heights of the stack
  std::unordered_map<uint32_t, Id> memo_;
  size_t copied_entries_ = 0;
  size_t tensors_ = 0;
};

}  // namespace

void check_lies_in_storage(const Pickle::StridedTensor& tensor, const Pickle::Storage& storage) {
  const auto count = element_count(tensor.shape);
  const int64_t available = storage.view_count;
  if (!count || *count > available) {
    fail(ErrorCode::model, "a tensor of {} does not fit into its storage of {} elements",
         to_string(tensor.shape), available);
  }
  if (*count == 0) return;
  const auto reach = reach_of(tensor);
  if (!reach || *reach > available) {
    fail(ErrorCode::model,
         "a tensor of {} with offset {} and strides [{}] leaves its storage of {} elements",
         to_string(tensor.shape), tensor.offset, fmt::join(tensor.strides, ", "), available);
  }
}

void check_lies_in_storage(const Pickle::Storage& view) {
  const bool fits = view.view_offset >= 0 && view.view_count >= 0 &&
                    view.view_count <= view.count &&
                    view.view_offset <= view.count - view.view_count;
  if (!fits) {
    fail(ErrorCode::model, "a view of {} elements from {} on leaves its storage of {} elements",
         view.view_count, view.view_offset, view.count);
  }
}

Pickle unpickle(std::span<const std::byte> bytes, size_t max_values) {
  return Machine(bytes, max_values).run();
}

}  // namespace upres
