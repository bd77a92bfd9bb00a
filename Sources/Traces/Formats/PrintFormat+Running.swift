import Files

extension PrintFormat {
  /// Prints a record, which has at least the minimum size; false if other data of it are missing.
  func run(_ record: RawSpan, _ buffer: inout TextBuffer) -> Bool {
    var stack = PrintStack()
    var index = 0
    while index < steps.count {
      let step = steps[index]
      index &+= 1
      switch step.code {
      case .constant: stack.push(step.operand)
      case .load: stack.push(step.type.load(record, at: Int(step.data.offset)))
      case .negate: stack.push(step.type.integer.value(of: 0 &- stack.pop()))
      case .complement: stack.push(step.type.integer.value(of: ~stack.pop()))
      case .not: stack.push(stack.pop() == 0 ? 1 : 0)
      case .convert: stack.push(step.type.integer.value(of: stack.pop()))
      case .operation:
        let right = stack.pop()
        let left = stack.pop()
        guard let op = COperator(rawValue: UInt8(truncatingIfNeeded: step.index)) else { return false }
        stack.push(op.apply(left, right, step.type.integer))
      case .jump: index = Int(step.index)
      case .jumpIfZero: if stack.pop() == 0 { index = Int(step.index) }
      case .mark: stack.push(UInt64(buffer.count))
      case .element:
        guard let value = element(step, stack.pop(), record) else { return false }
        stack.push(value)
      case .dataSize:
        guard let range = step.data.range(in: record, byteOrder) else { return false }
        stack.push(UInt64(range.count))
      default:
        buffer.append(pool, Int(step.literalOffset), Int(step.literalCount))
        guard print(step, record, &stack, &buffer) else { return false }
      }
    }
    return true
  }

  @inline(__always)
  private func print(
    _ step: PrintStep, _ record: RawSpan, _ stack: inout PrintStack, _ buffer: inout TextBuffer
  ) -> Bool {
    switch step.code {
    case .literal: break
    case .fieldDecimal: buffer.appendDecimal(step.type.load(record, at: Int(step.data.offset)))
    case .fieldSignedDecimal:
      buffer.appendDecimal(Int64(bitPattern: step.type.load(record, at: Int(step.data.offset))))
    case .fieldHexadecimal: buffer.appendHexadecimal(step.type.load(record, at: Int(step.data.offset)))
    case .fieldZeroPaddedHexadecimal:
      buffer.appendHexadecimal(step.type.load(record, at: Int(step.data.offset)), width: Int(step.index))
    case .decimal: buffer.appendDecimal(stack.pop())
    case .signedDecimal: buffer.appendDecimal(Int64(bitPattern: stack.pop()))
    case .hexadecimal: buffer.appendHexadecimal(stack.pop())
    case .zeroPaddedHexadecimal: buffer.appendHexadecimal(stack.pop(), width: Int(step.index))
    case .symbolic: printSymbolic(stack.pop(), tables[Int(step.index)], &buffer)
    case .text: return printText(step, record, &buffer)
    case .hexadecimalBytes: return printBytes(step, count: stack.pop(), record, &buffer)
    default: return printRare(step, record, &stack, &buffer)
    }
    return true
  }

  @inline(never)
  private func printRare(
    _ step: PrintStep, _ record: RawSpan, _ stack: inout PrintStack, _ buffer: inout TextBuffer
  ) -> Bool {
    switch step.code {
    case .number:
      let conversion = conversions[Int(step.index)]
      let value = stack.pop()
      let (width, precision, isLeftAligned) = sizes(conversion, &stack)
      var aligned = conversion
      aligned.isLeftAligned = isLeftAligned
      buffer.append(value, aligned, width: width, precision: precision)
    case .character: buffer.append(UInt8(truncatingIfNeeded: stack.pop()))
    case .flags: printFlags(stack.pop(), tables[Int(step.index)], &buffer)
    case .choice:
      if let entry = entry(of: stack.pop(), in: tables[Int(step.index)]) {
        buffer.append(pool, entry.offset, entry.count)
      }
    case .array: return printArray(step, count: stack.pop(), record, &buffer)
    case .bitmask, .bitmaskList:
      guard let range = step.data.range(in: record, byteOrder) else { return false }
      var bits = 8 * range.count
      if step.operand == 1 { bits = max(0, min(bits, Int(truncatingIfNeeded: stack.pop()))) }
      let mask = PrintBitmask(record, start: range.lowerBound, bits: bits, longSize: longSize, byteOrder: byteOrder)
      if step.code == .bitmask { mask.print(&buffer) } else { mask.printList(&buffer) }
    case .pointer:
      let value = stack.pop()
      buffer.append(value == 0 ? "(nil)" : "0x")
      if value != 0 { buffer.appendHexadecimal(value) }
    case .pointedText:
      let value = stack.pop()
      if let text = symbols.text(value) {
        buffer.append(text)
      } else {
        buffer.append(value == 0 ? "(null)" : "0x")
        if value != 0 { buffer.appendHexadecimal(value) }
      }
    case .symbol: printSymbol(stack.pop(), hasOffset: step.operand == 1, &buffer)
    case .internet4, .internet6, .hardwareAddress, .uuid:
      guard let range = step.data.range(in: record, byteOrder) else { return false }
      return PrintAddress.print(step, record, range, &buffer)
    case .finish:
      let conversion = conversions[Int(step.index)]
      let start = Int(truncatingIfNeeded: stack.pop())
      let (width, precision, isLeftAligned) = sizes(conversion, &stack)
      if let precision { buffer.truncate(to: start + min(precision, buffer.count)) }
      buffer.align(from: start, width: width, isLeftAligned: isLeftAligned)
    case .finishStatement: buffer.truncateAtNUL(from: Int(truncatingIfNeeded: stack.pop()))
    default: return false
    }
    return true
  }

  /// The width and precision of a conversion. A negative width as argument aligns to the left, a negative precision is
  /// none.
  private func sizes(
    _ conversion: PrintConversion, _ stack: inout PrintStack
  ) -> (width: Int, precision: Int?, isLeftAligned: Bool) {
    var precision: Int?
    switch conversion.precision {
    case .fixed(let value): precision = value
    case .argument:
      let value = Int(truncatingIfNeeded: stack.pop())
      precision = value < 0 ? nil : value
    case nil: break
    }
    switch conversion.width {
    case .fixed(let value): return (value, precision, conversion.isLeftAligned)
    case .argument:
      let value = Int(truncatingIfNeeded: stack.pop())
      let width = min(Int(clamping: value.magnitude), PrintConversion.largestWidth)
      return (width, precision, conversion.isLeftAligned || value < 0)
    case nil: return (0, precision, conversion.isLeftAligned)
    }
  }

  private func element(_ step: PrintStep, _ index: UInt64, _ record: RawSpan) -> UInt64? {
    guard let range = step.data.range(in: record, byteOrder) else { return nil }
    let count = UInt64(range.count / step.type.size)
    // The kernel would read past the array; there is nothing to print then.
    guard index < count else { return nil }
    return step.type.load(record, at: range.lowerBound + Int(index) * step.type.size)
  }

  // MARK: Names

  /// trace_print_symbols_seq of kernel/trace/trace_output.c, Linux 6.19.
  @inline(__always)
  private func printSymbolic(_ value: UInt64, _ table: PrintNameTable, _ buffer: inout TextBuffer) {
    if let entry = entry(of: value, in: table) {
      buffer.append(pool, entry.offset, entry.count)
    } else {
      printNumber(value, &buffer)
    }
  }

  /// The entry of a number in a table.
  @inline(__always)
  private func entry(of value: UInt64, in table: PrintNameTable) -> PrintNameEntry? {
    let distance = value &- table.first
    if distance < UInt64(table.slots.count) {
      let index = slots[table.slots.lowerBound &+ Int(distance)]
      return index >= 0 ? entries[Int(index)] : nil
    }
    var low = table.entries.lowerBound
    var high = table.entries.upperBound
    while low < high {
      let middle = (low &+ high) / 2
      if entries[middle].value < value { low = middle &+ 1 } else { high = middle }
    }
    guard low < table.entries.upperBound else { return nil }
    let entry = entries[low]
    return entry.value == value ? entry : nil
  }

  /// `0x%lx`.
  private func printNumber(_ value: UInt64, _ buffer: inout TextBuffer) {
    buffer.append("0x")
    buffer.appendHexadecimal(longSize == 4 ? value & 0xffff_ffff : value)
  }

  /// trace_print_flags_seq of kernel/trace/trace_output.c, Linux 6.19.
  private func printFlags(_ value: UInt64, _ table: PrintNameTable, _ buffer: inout TextBuffer) {
    var rest = longSize == 4 ? value & 0xffff_ffff : value
    var isFirst = true
    for index in table.entries.lowerBound..<table.entries.upperBound {
      if rest == 0 { return }
      let entry = entries[index]
      guard rest & entry.value == entry.value else { continue }
      rest &= ~entry.value
      if !isFirst { buffer.append(pool, table.delimiter.lowerBound, table.delimiter.count) }
      isFirst = false
      buffer.append(pool, entry.offset, entry.count)
    }
    if rest == 0 { return }
    if !isFirst { buffer.append(pool, table.delimiter.lowerBound, table.delimiter.count) }
    printNumber(rest, &buffer)
  }

  private func printSymbol(_ address: UInt64, hasOffset: Bool, _ buffer: inout TextBuffer) {
    guard let (name, offset) = symbols.symbol(address) else { return printNumber(address, &buffer) }
    buffer.append(name)
    guard hasOffset else { return }
    buffer.append("+0x")
    buffer.appendHexadecimal(offset)
  }

  // MARK: Data

  /// The characters of a field, up to the first NUL.
  private func printText(_ step: PrintStep, _ record: RawSpan, _ buffer: inout TextBuffer) -> Bool {
    guard let range = step.data.range(in: record, byteOrder) else { return false }
    let text = record.text
    var end = range.lowerBound
    while end < range.upperBound, text[end] != 0 { end &+= 1 }
    buffer.append(text, range.lowerBound, end &- range.lowerBound)
    return true
  }

  /// trace_print_hex_seq of kernel/trace/trace_output.c, Linux 6.19: `0f 22 c0`, and without blanks for
  /// __print_hex_str.
  private func printBytes(
    _ step: PrintStep, count: UInt64, _ record: RawSpan, _ buffer: inout TextBuffer
  ) -> Bool {
    guard let range = step.data.range(in: record, byteOrder) else { return false }
    let hasBlanks = step.operand == 1
    let length = max(0, min(Int64(bitPattern: count), Int64(range.count)))
    for offset in 0..<Int(length) {
      if hasBlanks, offset > 0 { buffer.append(UInt8(ascii: " ")) }
      buffer.appendHexadecimal(UInt64(record.byte(at: range.lowerBound &+ offset)), width: 2)
    }
    return true
  }

  /// trace_print_array_seq of kernel/trace/trace_output.c, Linux 6.19: `{0x1,0x2}`.
  private func printArray(_ step: PrintStep, count: UInt64, _ record: RawSpan, _ buffer: inout TextBuffer) -> Bool {
    guard let range = step.data.range(in: record, byteOrder) else { return false }
    let length = max(0, min(Int64(bitPattern: count), Int64(range.count / step.type.size)))
    buffer.append(UInt8(ascii: "{"))
    for index in 0..<Int(length) {
      buffer.append(index == 0 ? "0x" : ",0x")
      buffer.appendHexadecimal(step.type.load(record, at: range.lowerBound + index * step.type.size))
    }
    buffer.append(UInt8(ascii: "}"))
    return true
  }
}

/// The values of a running program. The compiler has seen to it that they fit.
private struct PrintStack {
  private var values = InlineArray<16, UInt64>(repeating: 0)
  private var count = 0

  @inline(__always)
  mutating func push(_ value: UInt64) {
    values[count] = value
    count &+= 1
  }

  @inline(__always)
  mutating func pop() -> UInt64 {
    count &-= 1
    return values[count]
  }
}
