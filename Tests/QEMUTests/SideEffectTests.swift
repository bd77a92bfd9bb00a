import Testing

@testable import QEMU

@Suite("A run of which nothing stays")
struct SideEffectTests {
  private func line(_ words: String) -> QEMUCommandLine {
    QEMUCommandLine(program: "qemu-system-x86_64", arguments: words.split(separator: " ").map(String.init))
  }

  @Test(
    "disks get a layer, and files that are only written are left alone",
    arguments: [
      ("-hda disk.img -cpu max", "-hda disk.img -cpu max -snapshot"),
      ("-serial file:console.log -D qemu.log -d int", "-serial null -D /dev/null -d int -snapshot"),
      ("-chardev file,id=c,path=log -serial chardev:c", "-chardev null,id=c -serial chardev:c -snapshot"),
      ("-serial stdio -monitor none", "-serial stdio -monitor none -snapshot"),
      ("-chardev socket,id=c,path=file", "-chardev socket,id=c,path=file -snapshot"),
    ])
  func leavingNoTrace(_ words: String, _ expected: String) { #expect(line(words).leavingNoTrace == line(expected)) }

  @Test(
    "what -snapshot does not hold back is named",
    arguments: [
      ("-drive file=disk.img,format=raw -hdb other.img -pflash vars.fd -kernel k", nil),
      ("-drive file=disk.img,snapshot=off", "-drive file=disk.img,snapshot=off"),
      ("-drive file=disk.img,snapshot=off,readonly=on", nil),
      ("-blockdev file,node-name=f,filename=disk.img", "-blockdev file,node-name=f,filename=disk.img"),
      ("-blockdev file,node-name=f,filename=disk.img,read-only=on", nil),
      ("-virtfs local,path=/srv", "-virtfs local,path=/srv"),
      ("-virtfs local,path=/srv,readonly=on", nil),
      ("-object memory-backend-file,id=m,share=on", "-object memory-backend-file,id=m,share=on"),
      ("-object memory-backend-file,id=m,size=1G,mem-path=f", nil),
      ("-device vfio-pci,host=01:00.0", "-device vfio-pci,host=01:00.0"),
      ("-device virtio-net -netdev user,id=n", nil),
      ("-readconfig machine.cfg", "-readconfig machine.cfg"),
    ] as [(String, String?)])
  func sideEffects(_ words: String, _ option: String?) {
    #expect(line(words).optionsWithSideEffects.first?.text == option)
  }

  @Test(
    "an option wins over those of its name",
    arguments: [
      (["-cpu", "X"], "-cpu qemu64 -m 1", "-cpu X -m 1"), (["-cpu", "X"], "-m 1", "-m 1 -cpu X"),
      (["-m", "512"], "-m 128 -S", "-m 128 -S -m 512"),
    ])
  func applying(_ option: [String], _ words: String, _ expected: String) {
    #expect(line(words).applying(option) == line(expected))
  }

  @Test(
    "under TCG, what names or needs another accelerator is left out",
    arguments: [
      ("-enable-kvm -m 64", "-m 64 -accel tcg"), ("-accel kvm -cpu host", "-cpu max -accel tcg"),
      ("-accel kvm,dirty-ring-size=4096 -accel tcg", "-accel tcg"),
      ("-machine q35,accel=kvm -cpu host,-avx", "-machine q35 -cpu max,-avx -accel tcg"),
      ("-M accel=kvm:tcg,kernel_irqchip=split -cpu Haswell", "-cpu Haswell -accel tcg"),
    ])
  func underTCG(_ words: String, _ expected: String) { #expect(line(words).underTCG == line(expected)) }
}
