public import QEMU
import SystemPackage
public import X86

/// A QEMU of this machine that is asked about itself. It runs no guest: it stands still from its start to its end.
public final class InstalledQEMU {
  private let session: QEMUSession
  /// From the greeting.
  public let version: QEMUVersion

  /// Starts `program`, found along PATH, with these arguments and nothing else: no devices but the machine's own.
  ///
  /// The calling thread must live as long as QEMU is wanted.
  public init(_ program: String, _ arguments: [String]) throws(CaptureError) {
    let control: (ours: OwnedDescriptor, theirs: OwnedDescriptor)
    let errors: (reading: OwnedDescriptor, writing: OwnedDescriptor)
    do throws(Errno) {
      control = try makeSocketPair()
      errors = try makePipe()
      let own = ["-nodefaults", "-no-user-config", "-display", "none", "-S"]
      let monitor = [
        "-chardev", "socket,id=inquest,fd=\(control.theirs.descriptor.rawValue)", "-mon",
        "chardev=inquest,mode=control",
      ]
      let process = try ChildProcess(
        program: program, arguments: own + arguments + monitor, standardError: errors.writing.descriptor,
        inheriting: [control.theirs.descriptor])
      session = QEMUSession(
        process: process, control: control.ours, standardOutput: nil, standardError: errors.reading, log: nil,
        signals: try InterruptSignals(),
        forwardsErrors: false)
    } catch {
      throw .cannotStart(program: program, errno: error.rawValue)
    }
    guard session.awaitGreeting(within: GuestRun.startTime), let version = session.greeting else {
      _ = session.terminate(asking: false)
      throw .noGreeting(program: program)
    }
    self.version = version
    guard (try? session.execute(.capabilities, within: GuestRun.startTime)) != nil else {
      _ = session.terminate(asking: false)
      throw .refused(program: program, reason: String(decoding: session.standardError.bytes, as: UTF8.self))
    }
  }

  deinit { _ = session.terminate() }

  /// QEMU's answer to a command.
  func ask(_ command: QMPCommand) throws(QMPRefusal) -> JSONValue { try session.execute(command) }

  /// What QEMU said on its standard error so far.
  public var standardError: String { String(decoding: session.standardError.bytes, as: UTF8.self) }

  /// The processors and their features.
  public var identity: GuestIdentity { GuestIdentity(asking: session, version: version) }

  /// The features of the first processor: its feature words, and the bits of MSRs, which those leave out. Nil where QEMU
  /// does not tell.
  public var features: FeatureSet? {
    guard let processor = identity.processors.first, var features = processor.features?.features else { return nil }
    for feature in ProcessorFeature.table {
      guard case .msr = feature.word, let name = feature.qemuName else { continue }
      features[feature] = (try? session.execute(.property(name, ofObjectAt: processor.cpu.path)))?.bool ?? false
    }
    return features
  }

  /// Family, model and stepping of the first processor; nil where QEMU does not tell.
  public var signature: ProcessorSignature? {
    guard let path = identity.processors.first?.cpu.path else { return nil }
    let numbers = ["family", "model", "stepping"].map { name in
      (try? session.execute(.property(name, ofObjectAt: path)))?.uint64.flatMap { UInt32(exactly: $0) }
    }
    guard let family = numbers[0], let model = numbers[1], let stepping = numbers[2] else { return nil }
    return ProcessorSignature(family: family, model: model, stepping: stepping)
  }
}
