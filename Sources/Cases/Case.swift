public import Capture
public import Investigation
public import QEMU

/// What is kept of a guest, so that a colleague can examine it on another machine.
public struct Case {
  /// The version of the inquest that made it.
  public var inquestVersion: String
  /// When it was made, as RFC 3339 has it, in UTC.
  public var created: String
  /// Whether names and addresses of the host and its user were replaced.
  public var isRedacted = false
  public var commandLine: QEMUCommandLine
  public var scene: GuestScene
  /// What the host can do.
  public var host: HostFacts
  /// The parameters of KVM's modules, by module and name.
  public var kvmParameters: [String: [String: String]]
  /// The vendor of the host's processor, as CPUID gives it; nil where it is not known.
  public var processorVendor: String?
  public var memory: MemoryExtent
  /// The guest's own ELF file; nil where none is known.
  public var image: Image?
  /// The verdict as JSON, as of when the case was made.
  public var verdict: String

  /// How much of the guest's memory is there.
  public enum MemoryExtent: String, Hashable, Sendable, Codable {
    /// The pages that the investigation read.
    case read
    /// The first of them; there were more than a case holds.
    case readInPart = "read-in-part"
    case full
  }

  /// The guest's own program, as far as a case has it.
  public struct Image: Hashable, Sendable {
    /// The file's name, without its folders.
    public var name: String
    public var identity: ImageIdentity
    /// The file, where it was small enough; nil where only its identity is known.
    public var contents: [UInt8]?

    public init(name: String, identity: ImageIdentity, contents: [UInt8]?) {
      self.name = name
      self.identity = identity
      self.contents = contents
    }
  }

  public init(
    inquestVersion: String, created: String, commandLine: QEMUCommandLine, scene: GuestScene, host: HostFacts,
    kvmParameters: [String: [String: String]], processorVendor: String?, memory: MemoryExtent, image: Image?,
    verdict: String
  ) {
    self.inquestVersion = inquestVersion
    self.created = created
    self.commandLine = commandLine
    self.scene = scene
    self.host = host
    self.kvmParameters = kvmParameters
    self.processorVendor = processorVendor
    self.memory = memory
    self.image = image
    self.verdict = verdict
  }
}
