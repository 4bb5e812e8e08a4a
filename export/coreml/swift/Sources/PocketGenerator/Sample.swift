import CoreVideo
import Foundation

/// How far a picture is from another, in steps of 1/255.
struct Difference {
    let meanSquared: Double
    let largest: Int
}

/// The photo that comes with the model, and the picture that the model's export made of it, without Core ML.
///
/// Both are rows of blue, green, red, alpha bytes: no image file, so no colour management stands between them and the
/// model.
public struct Sample {
    public let photo: CVPixelBuffer
    private let expected: Data

    public init() throws {
        expected = try Sample.resource("expected")
        photo = try Sample.buffer(of: Sample.resource("photo"))
    }

    /// Compare a picture with the one that the export made; nil where Core ML returned another pixel format or size.
    func difference(from picture: CVPixelBuffer) -> Difference? {
        guard CVPixelBufferGetPixelFormatType(picture) == kCVPixelFormatType_32BGRA,
            CVPixelBufferGetWidth(picture) == ExportedModel.widthPx,
            CVPixelBufferGetHeight(picture) == ExportedModel.heightPx
        else {
            return nil
        }
        CVPixelBufferLockBaseAddress(picture, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(picture, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(picture) else {
            return nil
        }
        let stride = CVPixelBufferGetBytesPerRow(picture)
        let wanted = [UInt8](expected)
        var squares = 0
        var largest = 0
        for row in 0..<ExportedModel.heightPx {
            for column in 0..<ExportedModel.widthPx {
                for channel in 0..<3 {
                    let made = base.load(fromByteOffset: row * stride + 4 * column + channel, as: UInt8.self)
                    let step = abs(Int(made) - Int(wanted[4 * (row * ExportedModel.widthPx + column) + channel]))
                    squares += step * step
                    largest = max(largest, step)
                }
            }
        }
        let count = 3 * ExportedModel.heightPx * ExportedModel.widthPx
        return Difference(meanSquared: Double(squares) / Double(count), largest: largest)
    }

    private static func resource(_ name: String) throws -> Data {
        guard let url = Bundle.module.url(forResource: name, withExtension: "bgra") else {
            throw GeneratorError.missingResource("\(name).bgra")
        }
        let bytes = try Data(contentsOf: url)
        guard bytes.count == 4 * ExportedModel.heightPx * ExportedModel.widthPx else {
            throw GeneratorError.missingResource("\(name).bgra in its full length")
        }
        return bytes
    }

    private static func buffer(of bytes: Data) throws -> CVPixelBuffer {
        var created: CVPixelBuffer?
        // Memory that the GPU and the Neural Engine share, as a camera's buffers are.
        let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [String: Int]()] as CFDictionary
        let status = CVPixelBufferCreate(
            kCFAllocatorDefault, ExportedModel.widthPx, ExportedModel.heightPx, kCVPixelFormatType_32BGRA, attributes,
            &created)
        guard let buffer = created else {
            throw GeneratorError.coreVideo(status)
        }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else {
            throw GeneratorError.coreVideo(status)
        }
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        let rowBytes = 4 * ExportedModel.widthPx
        for row in 0..<ExportedModel.heightPx {
            let line = [UInt8](bytes[(row * rowBytes)..<((row + 1) * rowBytes)])
            base.advanced(by: row * stride).copyMemory(from: line, byteCount: rowBytes)
        }
        return buffer
    }
}
