import QEMU
import Testing

/// Texts of QEMU 7.2's monitor.
@Suite struct MonitorAnswersTests {
  @Test(
    arguments: [
      (
        "7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n",
        QEMUVersion(major: 7, minor: 2, micro: 22, package: "Debian 1:7.2+dfsg-7+deb12u18+b3")
      ),
      ("10.0.0\r\n", QEMUVersion(major: 10, minor: 0, micro: 0, package: "")), ("", nil), ("7.2", nil), ("a.b.c", nil),
    ] as [(String, QEMUVersion?)]) func `info version`(text: String, version: QEMUVersion?)
  {
    #expect(QEMUVersion(monitorText: text) == version)
  }

  @Test(arguments: [
    ("VM status: running\r\n", "running"), ("VM status: paused\r\n", "paused"),
    ("VM status: paused (prelaunch)\r\n", "prelaunch"), ("VM status: paused (internal-error)", "internal-error"),
    ("VM status: running (single step mode)", "single step mode"), ("unknown command", nil),
  ]) func `info status`(text: String, state: String?) {
    #expect(RunState(monitorText: text)?.rawValue == state)
  }

  @Test func `vCPUs and their threads`() {
    let threads = "* CPU #0: thread_id=9427\r\n  CPU #1: thread_id=9428\r\n"
    let objects = """
      /unattached (container)\r
        /device[0] (qemu64-x86_64-cpu)\r
          /lapic (apic)\r
        /device[10] (mc146818rtc)\r
        /device[2] (qemu64-x86_64-cpu)\r

      """
    #expect(
      VirtualCPU.list(threads: threads, objects: objects) == [
        VirtualCPU(index: 0, threadID: 9427, path: "/machine/unattached/device[0]"),
        VirtualCPU(index: 1, threadID: 9428, path: "/machine/unattached/device[2]"),
      ])
    #expect(VirtualCPU.list(threads: "", objects: objects) == [])
  }
}
