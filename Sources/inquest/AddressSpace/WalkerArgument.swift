import ArgumentParser
import X86

/// A walker on the command line, by ``X86/Walker``'s names, or `all`.
enum WalkerArgument: ExpressibleByArgument {
  case walker(Walker)
  case all

  init?(argument: String) {
    if argument == "all" {
      self = .all
    } else if let walker = Walker(argument) {
      self = .walker(walker)
    } else {
      return nil
    }
  }

  static let help = ArgumentHelp(
    "By whose rules: intel, amd, kvm-VERSION (shadow paging), kvm-VERSION-tdp (EPT or NPT), tcg-VERSION, or all.",
    valueName: "walker")
}

extension [WalkerArgument] {
  /// The walkers that are meant, in order, each once.
  var walkers: [Walker] {
    var walkers: [Walker] = []
    for argument in self {
      let meant: [Walker] =
        switch argument {
        case .walker(let walker): [walker]
        case .all: Walker.representative
        }
      walkers += meant.filter { !walkers.contains($0) }
    }
    return walkers
  }
}
