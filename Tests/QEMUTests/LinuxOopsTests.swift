import QEMU
import Testing

@Suite("What a Linux kernel prints of its own registers")
struct LinuxOopsTests {
  private func oops(_ text: String) throws -> LinuxOops {
    let accounts = QEMULog.parse(text).compactMap { if case .linuxOops(let oops) = $0.message { oops } else { nil } }
    return try #require(accounts.first)
  }

  @Test("an oops of 6.1 on a serial console")
  func ofSixOne() throws {
    let oops = try oops(
      """
      [    2.070000] BUG: kernel NULL pointer dereference, address: 0000000000000008
      [    2.070001] #PF: supervisor write access in kernel mode
      [    2.070002] PGD 0 P4D 0
      [    2.070003] Oops: 0002 [#1] PREEMPT SMP NOPTI
      [    2.070004] CPU: 0 PID: 98 Comm: insmod Tainted: G           OE      6.1.0-56-cloud-amd64 #1
      [    2.070005] RIP: 0010:deeper+0x5/0x10 [die]
      [    2.070006] Code: 00 00 e8 ae ef f4 c5 0f 1f 44 00 00 <c7> 07 2a 00 00 00 c3 cc
      [    2.070007] RSP: 0018:ffffcf6ac05abac8 EFLAGS: 00000246
      [    2.070008] RAX: 0000000000000000 RBX: ffffffffc04bd000 RCX: 0000000000000000
      [    2.070009] CR2: 0000000000000008 CR3: 00000000029ea000 CR4: 00000000000006b0
      [    2.070010] Call Trace:
      [    2.070011]  <TASK>
      [    2.070012]  die_init+0x3b/0x1000 [die]
      [    2.070013]  ? 0xffffffffc04bd000
      [    2.070014]  ? left_over+0x59/0x220
      [    2.070015]  do_init_module+0x4a/0x1f0
      """)
    #expect(oops.headline?.text == "BUG: kernel NULL pointer dereference, address: 0000000000000008")
    #expect(oops.place == "deeper+0x5/0x10 [die]")
    #expect(oops.calls == ["die_init+0x3b/0x1000 [die]", "do_init_module+0x4a/0x1f0"])
    #expect(oops.registers[.cr2] == 8)
    #expect(oops.code?.atInstructionPointer.first == 0xC7)
  }

  @Test("older kernels print the address before the name")
  func older() throws {
    let oops = try oops("RIP: 0010:[<ffffffff8106f3e7>]  [<ffffffff8106f3e7>] clear_page+0x7/0x10")
    #expect(oops.place == "clear_page+0x7/0x10")
    #expect(oops.headline == nil)
  }

  @Test("a headline of long before is not of this account")
  func distant() throws {
    let others = [String](repeating: "a line of something else", count: 40).joined(separator: "\n")
    #expect(try oops("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n\(others)\nRIP: 0010:f+0x1/0x2").headline == nil)
  }
}
