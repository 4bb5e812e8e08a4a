import Foundation

/// What `compress bench ios` reads. The README of this package explains every key.
public struct BenchmarkReport: Codable, Sendable {
    public static let currentSchema = 1
    public static let kitName = "pocketgan-ios"

    public let kit: String
    public let schema: Int
    public let started: String
    public let model: Model
    public let device: Device
    public let warmup: Int
    public let rounds: Int
    public let predictionsPerTurn: Int
    public let compileMs: Double
    public let thermalStates: [String]
    public let lowPowerMode: Bool
    public let units: [Unit]

    enum CodingKeys: String, CodingKey {
        case kit
        case schema
        case started
        case model
        case device
        case warmup
        case rounds
        case predictionsPerTurn = "predictions_per_turn"
        case compileMs = "compile_ms"
        case thermalStates = "thermal_states"
        case lowPowerMode = "low_power_mode"
        case units
    }

    public struct Model: Codable, Sendable {
        public let name: String
        public let precision: String
        public let packageSHA256: String
        public let sizeBytes: Int
        public let heightPx: Int
        public let widthPx: Int

        enum CodingKeys: String, CodingKey {
            case name
            case precision
            case packageSHA256 = "package_sha256"
            case sizeBytes = "size_bytes"
            case heightPx = "height_px"
            case widthPx = "width_px"
        }
    }

    public struct Device: Codable, Sendable {
        public let identifier: String
        public let system: String
        public let systemVersion: String
        public let processors: Int
        public let memoryBytes: UInt64
        public let isSimulator: Bool
        public let isDebugBuild: Bool

        enum CodingKeys: String, CodingKey {
            case identifier
            case system
            case systemVersion = "system_version"
            case processors
            case memoryBytes = "memory_bytes"
            case isSimulator = "is_simulator"
            case isDebugBuild = "is_debug_build"
        }
    }

    public struct Unit: Codable, Sendable {
        public let computeUnits: String
        public var error: String?
        public var loadMs: Double?
        public var firstPredictionMs: Double?
        public var roundsMs: [Double]?
        public var minMs: Double?
        public var medianMs: Double?
        public var p95Ms: Double?
        public var meanSquaredDifference: Double?
        public var largestDifference: Int?
        public var plannedOperations: [String: [String: Int]]?

        enum CodingKeys: String, CodingKey {
            case computeUnits = "compute_units"
            case error
            case loadMs = "load_ms"
            case firstPredictionMs = "first_prediction_ms"
            case roundsMs = "rounds_ms"
            case minMs = "min_ms"
            case medianMs = "median_ms"
            case p95Ms = "p95_ms"
            case meanSquaredDifference = "mean_squared_difference"
            case largestDifference = "largest_difference"
            case plannedOperations = "planned_operations"
        }
    }

    public func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(self)
    }

    /// One line for each compute unit, for people.
    public var summary: String {
        let lines = units.map { unit -> String in
            guard let median = unit.medianMs, let least = unit.minMs, let load = unit.loadMs else {
                return "\(unit.computeUnits): \(unit.error ?? "not measured")"
            }
            return String(format: "%@: %.2f ms (least %.2f), loaded in %.0f ms", unit.computeUnits, median, least, load)
        }
        return lines.joined(separator: "\n")
    }
}
