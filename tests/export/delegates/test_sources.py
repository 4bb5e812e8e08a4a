"""The reader of LiteRT's sources, on texts of the same form; the kept table is what it wrote of a named commit."""

import json
import re

from export.delegates import sources

GPU = """
class PoolParser : public TFLiteOperationParser {
  RETURN_IF_ERROR(CheckMaxSupportedOpVersion(registration, 2));
};

class ElementwiseOperationParser : public TFLiteOperationParser {
  const int kMaxSupportedOpVersion =
      operation_type_ == OperationType::MUL ? 3 : 2;
  RETURN_IF_ERROR(CheckMaxSupportedOpVersion(registration, kMaxSupportedOpVersion));
};

class MeanParser : public TFLiteOperationParser {
};

NewOperationParser(registration, allow_quant_ops);
std::unique_ptr<TFLiteOperationParser> NewOperationParser(
    const TfLiteRegistration* registration) {
  switch (builtin_code) {
    case kTfLiteBuiltinAdd:
    case kTfLiteBuiltinAddN:
      return std::make_unique<ElementwiseOperationParser>(OperationType::ADD);
    case kTfLiteBuiltinMul:
      return std::make_unique<ElementwiseOperationParser>(
          OperationType::MUL);
    case kTfLiteBuiltinMaxPool2d:
      return std::make_unique<PoolParser>(PoolingType::MAX);
    case kTfLiteBuiltinMean:
      return std::make_unique<MeanParser>();
    case kTfLiteBuiltinCustom: {
      return std::make_unique<PoolParser>();
"""
COREML = """
bool IsNodeSupportedByDelegate(const TfLiteRegistration* registration) {
    switch (registration->builtin_code) {
      case kTfLiteBuiltinDepthwiseConv2d:
        if (registration->version > 2) return false;
        break;
    }
  switch (registration->builtin_code) {
    case kTfLiteBuiltinAdd: {
      return true;
    }
    case kTfLiteBuiltinDepthwiseConv2d: {
      return true;
    }
    default:
      return false;
  }
  case kTfLiteBuiltinTanh: elsewhere
"""


def test_gpu_parsers_and_their_versions_are_read() -> None:
    assert sources.read_gpu(GPU) == {"ADD": 2, "ADD_N": 2, "MUL": 3, "MAX_POOL_2D": 2, "MEAN": None}


def test_coreml_takes_version_1_but_for_what_it_names() -> None:
    assert sources.read_coreml(COREML) == {"ADD": 1, "DEPTHWISE_CONV_2D": 2}


def test_lists_of_the_compilers_are_read() -> None:
    listed = "kSupportedOps[] = {\n kLiteRtOpCodeTflConv2d,\n kLiteRtOpCodeTflPadv2,\n};\nkLiteRtOpCodeTflTanh"
    assert sources.read_supported(listed) == {"CONV_2D": None, "PADV2": None}
    left_out = sources.read_all_but_unsupported("kUnSupportedOps[] = {\n kLiteRtOpCodeTflWhere,\n};")
    assert "WHERE" not in left_out
    assert {"CONV_2D", "DEPTH_TO_SPACE"} <= set(left_out)
    built = "builders[kLiteRtOpCodeTflAdd] = Adapt<A>;\n builders[kLiteRtOpCodeTflMirrorPad] =\n"
    assert sources.read_builders(built) == {"ADD": None, "MIRROR_PAD": None}


def test_table_names_its_commit_and_holds_what_the_texts_say() -> None:
    texts = {
        "gpu": GPU,
        "coreml": COREML,
        "npu-mediatek": "kSupportedOps[] = {\n kLiteRtOpCodeTflConv2d,\n};",
        "npu-qualcomm": "builders[kLiteRtOpCodeTflAdd]",
        "npu-google": "kUnSupportedOps[] = {\n kLiteRtOpCodeTflWhere,\n};",
    }
    by_path = {source.path: texts[name] for name, source in sources.SOURCES.items()}
    table = sources.build_table(by_path.__getitem__, "a" * 40)
    kept = json.loads(sources.TABLE.read_text(encoding="utf-8"))
    assert table["commit"] == "a" * 40
    assert table["delegates"]["npu-mediatek"]["operators"] == {"CONV_2D": None}
    assert re.fullmatch(r"[0-9a-f]{40}", kept["commit"])
    for name, entry in table["delegates"].items():
        assert {key: value for key, value in entry.items() if key not in ("operators", "types")} == {
            key: value for key, value in kept["delegates"][name].items() if key not in ("operators", "types")
        }
