/// An expression of a print format.
indirect enum PrintExpression: Hashable, Sendable {
  case integer(UInt64, CInteger)
  case string([UInt8])
  /// `REC->name`.
  case field(EventField)
  /// `REC->name[index]`.
  case element(EventField, PrintExpression)
  case negate(PrintExpression)
  case complement(PrintExpression)
  case not(PrintExpression)
  case operation(COperator, PrintExpression, PrintExpression)
  case conditional(PrintExpression, PrintExpression, PrintExpression)
  /// To an integer type.
  case cast(CInteger, PrintExpression)
  /// To a pointer type.
  case pointer(PrintExpression)
  /// `__print_symbolic` and its relatives.
  case symbolic(PrintExpression, [PrintName])
  case flags(PrintExpression, delimiter: [UInt8], [PrintName])
  /// `__print_hex`, and without blanks `__print_hex_str`.
  case hexadecimal(PrintExpression, count: PrintExpression, hasBlanks: Bool)
  /// `__print_array`.
  case array(PrintExpression, count: PrintExpression, elementSize: PrintExpression)
  /// `__get_str`, `__get_rel_str`.
  case text(EventField)
  /// `__get_dynamic_array`: the address of located data.
  case data(EventField)
  /// `__get_dynamic_array_len`.
  case dataSize(EventField)
  /// `__get_bitmask`, `__get_cpumask`.
  case bitmask(EventField)
  /// A string chosen from a table: `access_str[role.access]`.
  case choice([[UInt8]], PrintExpression)
  /// `({ …trace_seq_printf(p, "…", …); …; saved_ptr; })`.
  case statement([UInt8], [PrintExpression])
}

/// A number and the name that is printed for it.
struct PrintName: Hashable, Sendable {
  var value: UInt64
  var name: [UInt8]
}
