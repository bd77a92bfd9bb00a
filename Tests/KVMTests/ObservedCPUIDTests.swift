import KVM
import Testing
import X86

@Suite("CPUID as a trace has it")
struct ObservedCPUIDTests {
  private func cpuid(_ lines: [String]) -> CPUID? {
    CPUID(KVMTrace(text: lines.map { "qemu-1 [000] 1.0: \($0)\n" }.joined()).records)
  }

  @Test("the last answer to a leaf and subleaf counts")
  func last() {
    let cpuid = cpuid([
      "kvm_cpuid: func 7 idx 0 rax 0 rbx 20 rcx 0 rdx 0, cpuid entry found",
      "kvm_cpuid: func 1 idx 5 rax 0 rbx 0 rcx 4000000 rdx 0, cpuid entry found",
      "kvm_cpuid: func 1 idx 0 rax 0 rbx 0 rcx c000000 rdx 0, cpuid entry found",
      "kvm_cpuid: func 7 idx 1 rax 10 rbx 0 rcx 0 rdx 0, cpuid entry found",
    ])
    #expect(cpuid?.entries.count == 3)
    #expect(
      cpuid?[leaf: 1]?.ecx == 0xC00_0000 && cpuid?[leaf: 7]?.ebx == 0x20 && cpuid?[leaf: 7, subleaf: 1]?.eax == 0x10)
    #expect(cpuid?.has(.nx) == nil)
  }

  @Test("what was not found does not tell")
  func notFound() {
    #expect(cpuid(["kvm_cpuid: func 7 idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry not found"]) == nil)
    #expect(cpuid(["kvm_exit: reason HLT rip 0x1 info 0 0"]) == nil)
  }
}
