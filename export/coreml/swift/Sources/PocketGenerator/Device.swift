import Foundation

extension BenchmarkReport.Device {
    /// The device that this runs on.
    static func current() -> BenchmarkReport.Device {
        let process = ProcessInfo.processInfo
        let simulated = process.environment["SIMULATOR_MODEL_IDENTIFIER"]
        #if os(macOS)
        let system = "macOS"
        let identifier = hardware("hw.model")
        #else
        let system = "iOS"
        let identifier = simulated ?? hardware("hw.machine")
        #endif
        #if DEBUG
        let debugBuild = true
        #else
        let debugBuild = false
        #endif
        return BenchmarkReport.Device(
            identifier: identifier,
            system: system,
            systemVersion: process.operatingSystemVersionString,
            processors: process.processorCount,
            memoryBytes: process.physicalMemory,
            isSimulator: simulated != nil,
            isDebugBuild: debugBuild
        )
    }

    /// What the kernel says of itself, such as "iPhone16,1".
    private static func hardware(_ name: String) -> String {
        var size = 0
        guard sysctlbyname(name, nil, &size, nil, 0) == 0, size > 0 else {
            return "unknown"
        }
        var bytes = [UInt8](repeating: 0, count: size)
        guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else {
            return "unknown"
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

extension ProcessInfo.ThermalState {
    /// As the report names it.
    var name: String {
        switch self {
        case .nominal: return "nominal"
        case .fair: return "fair"
        case .serious: return "serious"
        case .critical: return "critical"
        @unknown default: return "unknown"
        }
    }
}
