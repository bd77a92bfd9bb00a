import ArgumentParser
struct Inquest: ParsableCommand { static let configuration = CommandConfiguration(commandName: "inquest", subcommands: [ReportCommand.self, StatCommand.self]) }
Inquest.main()
