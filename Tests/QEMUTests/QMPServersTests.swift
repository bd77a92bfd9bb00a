import QEMU
import Testing

@Suite("where a QEMU listens for QMP")
struct QMPServersTests {
  @Test(
    "from its command line",
    arguments: [
      (["-qmp", "unix:/run/q,server=on,wait=off"], ["unix:/run/q"]),
      (["-qmp", "unix:q,server,nowait"], ["unix:q"]),
      (["-qmp-pretty", "tcp:localhost:4444,server=on"], ["tcp:localhost:4444"]),
      (["-qmp", "unix:/run/q"], []), (["-qmp", "stdio"], []), (["-monitor", "unix:/run/m,server=on"], []),
      (
        ["-chardev", "socket,id=m,path=/run/q,server=on,wait=off", "-mon", "chardev=m,mode=control"], ["unix:/run/q"]
      ), (["-chardev", "socket,id=m,port=5,server=on", "-mon", "m,mode=control"], ["tcp:localhost:5"]),
      (["-chardev", "socket,id=m,path=/run/q,server=on", "-mon", "chardev=m,mode=readline"], []),
      (["-chardev", "socket,id=m,fd=12", "-mon", "chardev=m,mode=control"], []),
    ])
  func qmp(_ arguments: [String], _ expected: [String]) {
    #expect(QEMUCommandLine(program: "qemu-system-x86_64", arguments: arguments).qmpServers == expected)
  }

  @Test(
    "and for people's monitor",
    arguments: [
      (["-monitor", "unix:/run/m,server=on,wait=off"], ["unix:/run/m"]),
      (["-monitor", "tcp::5,server,nowait"], ["tcp::5"]),
      (["-monitor", "telnet:127.0.0.1:5,server=on,wait=off"], ["tcp:127.0.0.1:5"]), (["-monitor", "stdio"], []),
      (["-qmp", "unix:/run/q,server=on"], []),
      (["-chardev", "socket,id=m,path=/run/m,server=on", "-mon", "m"], ["unix:/run/m"]),
      (["-chardev", "socket,id=m,path=/run/m,server=on", "-mon", "m,mode=control"], []),
    ])
  func people(_ arguments: [String], _ expected: [String]) {
    #expect(QEMUCommandLine(program: "qemu-system-x86_64", arguments: arguments).humanMonitorServers == expected)
  }

  @Test(
    "and where it is that nobody else can reach",
    arguments: [
      (["-monitor", "stdio"], "stdio"), (["-monitor", "vc:80Cx24C"], "vc:80Cx24C"), (["-nographic"], "stdio"),
      (["-monitor", "none"], nil), (["-monitor", "unix:/run/m,server=on"], nil), ([], nil),
    ] as [([String], String?)])
  func elsewhere(_ arguments: [String], _ expected: String?) {
    #expect(QEMUCommandLine(program: "qemu-system-x86_64", arguments: arguments).monitorElsewhere == expected)
  }
}
