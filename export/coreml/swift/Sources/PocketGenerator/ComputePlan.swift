import CoreML
import Foundation

/// Where Core ML plans to run the model: by operator, how many of it go to which device.
///
/// Core ML says so from iOS 17.4 and macOS 14.4 on; nil before.
func plannedOperations(compiledModel: URL, computeUnits: MLComputeUnits) async -> [String: [String: Int]]? {
    guard #available(iOS 17.4, macOS 14.4, *) else {
        return nil
    }
    let configuration = MLModelConfiguration()
    configuration.computeUnits = computeUnits
    guard let plan = try? await MLComputePlan.load(contentsOf: compiledModel, configuration: configuration),
        case .program(let program) = plan.modelStructure,
        let main = program.functions["main"]
    else {
        return nil
    }
    var planned: [String: [String: Int]] = [:]
    for operation in main.block.operations {
        // Constants run nowhere.
        guard let usage = plan.deviceUsage(for: operation) else {
            continue
        }
        planned[operation.operatorName, default: [:]][name(of: usage.preferred), default: 0] += 1
    }
    return planned
}

@available(iOS 17.4, macOS 14.4, *)
private func name(of device: MLComputeDevice) -> String {
    switch device {
    case .cpu: return "cpu"
    case .gpu: return "gpu"
    case .neuralEngine: return "neural_engine"
    @unknown default: return "other"
    }
}
