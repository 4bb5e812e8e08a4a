import CoreGraphics
import CoreML
import CoreVideo
import Foundation
import VideoToolbox
import Vision

/// What can go wrong besides Core ML's own errors.
public enum GeneratorError: LocalizedError {
    case missingResource(String)
    case wrongEnds
    case noPicture
    case coreVideo(Int32)

    public var errorDescription: String? {
        switch self {
        case .missingResource(let name): return "\(name) is not in the package's bundle."
        case .wrongEnds: return "The model's ends are no pictures; expected one picture in and one out."
        case .noPicture: return "The model returned no picture."
        case .coreVideo(let status): return "Core Video refused a buffer: status \(status)."
        }
    }
}

/// The generator of this package: a picture in, a picture of the same size out.
public final class Generator {
    private let model: MLModel
    private let inputName: String
    private let outputName: String
    private let constraint: MLImageConstraint

    /// The compiled model. Compiling takes a while; an app should keep the result instead of compiling at each launch.
    public static func compileModel() async throws -> URL {
        if let compiled = Bundle.module.url(forResource: "model", withExtension: "mlmodelc") {
            return compiled
        }
        guard let package = Bundle.module.url(forResource: "model", withExtension: "mlpackage") else {
            throw GeneratorError.missingResource("model.mlpackage")
        }
        return try await MLModel.compileModel(at: package)
    }

    public init(compiledModel: URL, computeUnits: MLComputeUnits) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = computeUnits
        let loaded = try MLModel(contentsOf: compiledModel, configuration: configuration)
        let description = loaded.modelDescription
        guard let entry = description.inputDescriptionsByName.first,
            let taken = entry.value.imageConstraint,
            let end = description.outputDescriptionsByName.first,
            end.value.type == .image
        else {
            throw GeneratorError.wrongEnds
        }
        model = loaded
        inputName = entry.key
        outputName = end.key
        constraint = taken
    }

    public convenience init(computeUnits: MLComputeUnits = .all) async throws {
        let compiled = try await Generator.compileModel()
        try self.init(compiledModel: compiled, computeUnits: computeUnits)
    }

    /// Translate a picture of exactly one of the model's sizes, for example of a camera, `kCVPixelFormatType_32BGRA`.
    public func translate(_ photo: CVPixelBuffer) throws -> CVPixelBuffer {
        let features = try MLDictionaryFeatureProvider(dictionary: [inputName: MLFeatureValue(pixelBuffer: photo)])
        guard let picture = try model.prediction(from: features).featureValue(for: outputName)?.imageBufferValue else {
            throw GeneratorError.noPicture
        }
        return picture
    }

    /// Translate a picture of any size: its middle is cropped and scaled to the model's usual size.
    public func translate(_ photo: CGImage) throws -> CGImage {
        let options: [MLFeatureValue.ImageOption: Any] = [
            .cropAndScale: VNImageCropAndScaleOption.centerCrop.rawValue
        ]
        let value = try MLFeatureValue(cgImage: photo, constraint: constraint, options: options)
        guard let buffer = value.imageBufferValue else {
            throw GeneratorError.noPicture
        }
        return try Generator.image(of: translate(buffer))
    }

    /// A pixel buffer as SwiftUI and UIKit show it.
    public static func image(of buffer: CVPixelBuffer) throws -> CGImage {
        var image: CGImage?
        let status = VTCreateCGImageFromCVPixelBuffer(buffer, options: nil, imageOut: &image)
        guard let made = image else {
            throw GeneratorError.coreVideo(status)
        }
        return made
    }
}
