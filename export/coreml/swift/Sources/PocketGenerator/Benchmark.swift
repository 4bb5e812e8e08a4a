import CoreML
import CoreVideo
import Dispatch
import Foundation

/// Times the model on every compute unit, all of them in turns within one run: a phone gets warm, and two runs at
/// different times do not compare.
public struct Benchmark: Sendable {
    /// Predictions of each unit before the first round, which are not timed.
    public var warmup = 5
    public var rounds = 30
    /// A unit's turn in a round: one prediction that is not counted, since the unit may have gone idle while the others
    /// ran, then so many whose median counts.
    public var predictionsPerTurn = 5

    private static let computeUnits: [(String, MLComputeUnits)] = [
        ("cpuOnly", .cpuOnly),
        ("cpuAndGPU", .cpuAndGPU),
        ("cpuAndNeuralEngine", .cpuAndNeuralEngine),
        ("all", .all),
    ]

    public init() {}

    /// Run it. Takes a minute or so, at full load.
    public func run(progress: (String) -> Void = { _ in }) async throws -> BenchmarkReport {
        let started = ISO8601DateFormatter().string(from: Date())
        let sample = try Sample()
        progress("compiling \(ExportedModel.name)")
        let compileStarted = DispatchTime.now().uptimeNanoseconds
        let compiled = try await Generator.compileModel()
        let compileMs = Benchmark.millisecondsSince(compileStarted)
        var contenders: [Contender] = []
        for (name, units) in Benchmark.computeUnits {
            progress("loading for \(name)")
            let planned = await plannedOperations(compiledModel: compiled, computeUnits: units)
            contenders.append(Contender(name, units, compiledModel: compiled, sample: sample, planned: planned))
        }
        let running = contenders.filter { $0.generator != nil }
        for contender in running {
            for _ in 0..<warmup {
                contender.predict(sample.photo)
            }
        }
        var thermalStates: [String] = []
        for round in 0..<rounds {
            progress("round \(round + 1) of \(rounds)")
            thermalStates.append(ProcessInfo.processInfo.thermalState.name)
            for turn in running.indices {
                running[(turn + round) % running.count].takeTurn(predictionsPerTurn, sample.photo)
            }
        }
        thermalStates.append(ProcessInfo.processInfo.thermalState.name)
        return BenchmarkReport(
            kit: BenchmarkReport.kitName,
            schema: BenchmarkReport.currentSchema,
            started: started,
            model: BenchmarkReport.Model(
                name: ExportedModel.name,
                precision: ExportedModel.precision,
                packageSHA256: ExportedModel.packageSHA256,
                sizeBytes: ExportedModel.sizeBytes,
                heightPx: ExportedModel.heightPx,
                widthPx: ExportedModel.widthPx
            ),
            device: BenchmarkReport.Device.current(),
            warmup: warmup,
            rounds: rounds,
            predictionsPerTurn: predictionsPerTurn,
            compileMs: compileMs,
            thermalStates: thermalStates,
            lowPowerMode: ProcessInfo.processInfo.isLowPowerModeEnabled,
            units: contenders.map { $0.finished() }
        )
    }

    static func millisecondsSince(_ started: UInt64) -> Double {
        Double(DispatchTime.now().uptimeNanoseconds - started) / 1e6
    }

    /// The middle value, or the mean of the two in the middle.
    static func median(_ values: [Double]) -> Double {
        let ordered = values.sorted()
        let middle = ordered.count / 2
        return ordered.count % 2 == 1 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2
    }

    /// The smallest value that 95 % of the values do not exceed.
    static func p95(_ values: [Double]) -> Double {
        let rank = (95 * values.count + 99) / 100
        return values.sorted()[rank - 1]
    }
}

/// The model on one compute unit, and what was measured of it so far.
private final class Contender {
    private(set) var generator: Generator?
    private var unit: BenchmarkReport.Unit
    private var latenciesMs: [Double] = []

    init(
        _ name: String, _ units: MLComputeUnits, compiledModel: URL, sample: Sample, planned: [String: [String: Int]]?
    ) {
        unit = BenchmarkReport.Unit(computeUnits: name)
        unit.plannedOperations = planned
        do {
            let loadStarted = DispatchTime.now().uptimeNanoseconds
            let loaded = try Generator(compiledModel: compiledModel, computeUnits: units)
            unit.loadMs = Benchmark.millisecondsSince(loadStarted)
            let firstStarted = DispatchTime.now().uptimeNanoseconds
            let picture = try loaded.translate(sample.photo)
            unit.firstPredictionMs = Benchmark.millisecondsSince(firstStarted)
            let difference = sample.difference(from: picture)
            unit.meanSquaredDifference = difference?.meanSquared
            unit.largestDifference = difference?.largest
            generator = loaded
        } catch {
            unit.error = error.localizedDescription
        }
    }

    /// Predict once; the time in milliseconds, or nil after an error, which ends this unit's measurements.
    @discardableResult
    func predict(_ photo: CVPixelBuffer) -> Double? {
        guard let generator else {
            return nil
        }
        do {
            // What Core ML allocates is released here, not at the end of the run.
            return try autoreleasepool {
                let started = DispatchTime.now().uptimeNanoseconds
                _ = try generator.translate(photo)
                return Benchmark.millisecondsSince(started)
            }
        } catch {
            unit.error = error.localizedDescription
            self.generator = nil
            return nil
        }
    }

    func takeTurn(_ predictions: Int, _ photo: CVPixelBuffer) {
        predict(photo)
        let latencies = (0..<predictions).compactMap { _ in predict(photo) }
        if latencies.count == predictions {
            latenciesMs.append(Benchmark.median(latencies))
        }
    }

    func finished() -> BenchmarkReport.Unit {
        var result = unit
        if result.error == nil, !latenciesMs.isEmpty {
            result.roundsMs = latenciesMs
            result.minMs = latenciesMs.min()
            result.medianMs = Benchmark.median(latenciesMs)
            result.p95Ms = Benchmark.p95(latenciesMs)
        }
        return result
    }
}
