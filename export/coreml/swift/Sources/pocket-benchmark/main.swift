import Foundation
import PocketGenerator

// swift run -c release pocket-benchmark [RESULT.json]

func say(_ line: String) {
    FileHandle.standardError.write(Data("\(line)\n".utf8))
}

let out = URL(fileURLWithPath: CommandLine.arguments.dropFirst().first ?? "pocketgan-ios.json")
do {
    let report = try await Benchmark().run(progress: say)
    try report.encoded().write(to: out, options: .atomic)
    print(report.summary)
    say("written to \(out.path)")
} catch {
    say(error.localizedDescription)
    exit(1)
}
