#include <Zydis/Zydis.h>

// What Swift cannot import of Zydis, or only as unsafe unions: function-like macros, and the variants of an operand.

/// An instruction with all its operands, so that both live in one value.
typedef struct {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
} CZydisDecoded;

typedef enum {
  CZYDIS_OK,
  CZYDIS_TRUNCATED,
  CZYDIS_TOO_LONG,
  CZYDIS_ILLEGAL_LOCK,
  CZYDIS_BAD_REGISTER,
  CZYDIS_UNDEFINED,
} CZydisOutcome;

static inline CZydisOutcome CZydisDecode(ZydisMachineMode mode, ZydisStackWidth stack, const void *bytes,
                                         size_t length, CZydisDecoded *decoded) {
  ZydisDecoder decoder;
  ZyanStatus status = ZydisDecoderInit(&decoder, mode, stack);
  if (ZYAN_SUCCESS(status)) {
    status = ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded->instruction, decoded->operands);
  }
  if (ZYAN_SUCCESS(status)) return CZYDIS_OK;
  switch (status) {
  case ZYDIS_STATUS_NO_MORE_DATA: return CZYDIS_TRUNCATED;
  case ZYDIS_STATUS_INSTRUCTION_TOO_LONG: return CZYDIS_TOO_LONG;
  case ZYDIS_STATUS_ILLEGAL_LOCK: return CZYDIS_ILLEGAL_LOCK;
  case ZYDIS_STATUS_BAD_REGISTER: return CZYDIS_BAD_REGISTER;
  default: return CZYDIS_UNDEFINED;
  }
}

static inline ZydisDecodedOperand CZydisOperand(const CZydisDecoded *decoded, size_t index) {
  return decoded->operands[index];
}
static inline ZydisRegister CZydisOperandRegister(ZydisDecodedOperand operand) { return operand.reg.value; }
static inline ZydisDecodedOperandMem CZydisOperandMemory(ZydisDecodedOperand operand) { return operand.mem; }
static inline ZydisDecodedOperandPtr CZydisOperandPointer(ZydisDecodedOperand operand) { return operand.ptr; }
static inline ZyanU64 CZydisOperandImmediate(ZydisDecodedOperand operand) { return operand.imm.value.u; }
static inline ZyanBool CZydisOperandIsRelative(ZydisDecodedOperand operand) { return operand.imm.is_relative; }

static inline ZyanBool CZydisIsPrivileged(const CZydisDecoded *decoded) {
  return (decoded->instruction.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0;
}

/// The target of the relative branch `operand`; false where Zydis cannot tell.
static inline ZyanBool CZydisBranchTarget(const CZydisDecoded *decoded, size_t index, ZyanU64 address,
                                          ZyanU64 *target) {
  return ZYAN_SUCCESS(
    ZydisCalcAbsoluteAddress(&decoded->instruction, &decoded->operands[index], address, target));
}

/// Writes the instruction's text with numbers as short as they are, in lower case, and RIP-relative operands as such;
/// false if it does not fit.
static inline ZyanBool CZydisFormat(const CZydisDecoded *decoded, ZydisFormatterStyle style, ZyanU64 address,
                                    char *text, size_t capacity) {
  ZydisFormatter formatter;
  return ZYAN_SUCCESS(ZydisFormatterInit(&formatter, style))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(
      &formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(
      &formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, ZYDIS_PADDING_DISABLED))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED))
    && ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_TRUE))
    && ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
      &formatter, &decoded->instruction, decoded->operands, decoded->instruction.operand_count_visible, text,
      capacity, address, ZYAN_NULL));
}
