import CLinux
import Glibc
import X86

/// A virtual machine with one vCPU that never runs: KVM's page walk, asked through KVM_TRANSLATE.
final class VirtualMachine {
  /// A request that KVM refused.
  struct Refusal: Error, CustomStringConvertible {
    var request: String
    var errno: Int32

    var description: String { "\(request): errno \(errno)" }
  }

  /// What KVM_TRANSLATE answers; its other fields are constants.
  struct Answer: Hashable {
    /// Nil if the translation is not valid.
    var physicalAddress: UInt64?
  }

  let memory: GuestRAM
  private let device: Int32
  private let machine: Int32
  private let processor: Int32

  /// - Parameter pages: How many pages of RAM the machine has, from guest-physical 0 on.
  init(pages: Int) throws(Refusal) {
    // The path is a literal, and no mode is asked for.
    device = unsafe open("/dev/kvm", O_RDWR | O_CLOEXEC)
    guard device >= 0 else { throw Refusal(request: "open /dev/kvm", errno: Glibc.errno) }
    machine = clinux_ioctl_number(device, Request.createVM, 0)
    guard machine >= 0 else { throw Refusal(request: "KVM_CREATE_VM", errno: Glibc.errno) }
    processor = clinux_ioctl_number(machine, Request.createVCPU, 0)
    guard processor >= 0 else { throw Refusal(request: "KVM_CREATE_VCPU", errno: Glibc.errno) }
    guard let memory = GuestRAM(pages: pages) else { throw Refusal(request: "mmap", errno: Glibc.errno) }
    self.memory = memory
    var region = kvm_userspace_memory_region()
    region.memory_size = UInt64(memory.size)
    region.userspace_addr = memory.hostAddress
    try Self.call(machine, "KVM_SET_USER_MEMORY_REGION", Request.write(0x46, &region), &region)
  }

  deinit {
    for descriptor in [processor, machine, device] { close(descriptor) }
  }

  func setCPUID(_ cpuid: CPUID) throws(Refusal) {
    // struct kvm_cpuid2: the count, padding, then ten words an entry, flag 1 where the subleaf counts.
    var words: [UInt32] = [UInt32(cpuid.entries.count), 0]
    for entry in cpuid.entries {
      let hasSubleaves: UInt32 = entry.leaf == 7 ? 1 : 0
      words += [entry.leaf, entry.subleaf, hasSubleaves, entry.eax, entry.ebx, entry.ecx, entry.edx, 0, 0, 0]
    }
    let result = unsafe words.withUnsafeMutableBytes {
      unsafe clinux_ioctl_pointer(processor, Request.setCPUID2, $0.baseAddress)
    }
    guard result == 0 else { throw Refusal(request: "KVM_SET_CPUID2", errno: Glibc.errno) }
  }

  func specialRegisters() throws(Refusal) -> kvm_sregs2 {
    var registers = kvm_sregs2()
    try Self.call(processor, "KVM_GET_SREGS2", Request.read(0xCC, &registers), &registers)
    return registers
  }

  func set(_ registers: kvm_sregs2) throws(Refusal) {
    var registers = registers
    try Self.call(processor, "KVM_SET_SREGS2", Request.write(0xCD, &registers), &registers)
  }

  func setFlags(_ flags: RFLAGS) throws(Refusal) {
    var registers = kvm_regs()
    registers.rflags = flags.rawValue | 2
    try Self.call(processor, "KVM_SET_REGS", Request.write(0x82, &registers), &registers)
  }

  func translate(_ address: UInt64) throws(Refusal) -> Answer {
    var translation = kvm_translation()
    translation.linear_address = address
    try Self.call(processor, "KVM_TRANSLATE", Request.readWrite(0x85, &translation), &translation)
    return Answer(physicalAddress: translation.valid == 0 ? nil : translation.physical_address)
  }

  private static func call<Argument>(
    _ descriptor: Int32, _ name: String, _ request: UInt, _ argument: inout Argument
  ) throws(Refusal) {
    // KVM reads and writes one structure of the size that the request number holds.
    let result = unsafe withUnsafeMutablePointer(to: &argument) {
      unsafe clinux_ioctl_pointer(descriptor, request, $0)
    }
    guard result >= 0 else { throw Refusal(request: name, errno: Glibc.errno) }
  }

  /// Request numbers of <linux/kvm.h>, made as its macros make them.
  private enum Request {
    static let createVM: UInt = 0xAE01
    static let createVCPU: UInt = 0xAE41
    static let setCPUID2: UInt = 0x4008_AE90

    static func write<T>(_ number: UInt, _: inout T) -> UInt { 1 << 30 | make(number, T.self) }
    static func read<T>(_ number: UInt, _: inout T) -> UInt { 2 << 30 | make(number, T.self) }
    static func readWrite<T>(_ number: UInt, _: inout T) -> UInt { 3 << 30 | make(number, T.self) }

    private static func make<T>(_ number: UInt, _: T.Type) -> UInt {
      UInt(MemoryLayout<T>.size) << 16 | 0xAE << 8 | number
    }
  }
}
