public import Files

/// Why a trace file, or a part of it, cannot be read.
public typealias TraceFileError = FileError
