import CoreGraphics
import Foundation
import SwiftUI

/// The sample photo, what the model makes of it, and a button that measures and shares the JSON.
public struct BenchmarkView: View {
    @State private var photo: CGImage?
    @State private var picture: CGImage?
    @State private var status = "Close other apps, unplug the phone, then measure."
    @State private var result: URL?
    @State private var isBusy = false

    public init() {}

    public var body: some View {
        VStack(spacing: 16) {
            HStack {
                shown(photo, label: "photo")
                shown(picture, label: "picture")
            }
            Text(status).font(.footnote.monospaced())
            Button("Measure") {
                Task { await measure() }
            }
            .disabled(isBusy)
            if let result {
                ShareLink("Share the measurements", item: result)
            }
        }
        .padding()
        .task { await translateSample() }
    }

    @ViewBuilder
    private func shown(_ image: CGImage?, label: String) -> some View {
        if let image {
            Image(image, scale: 1, label: Text(label)).resizable().scaledToFit()
        } else {
            ProgressView()
        }
    }

    @MainActor
    private func translateSample() async {
        do {
            let sample = try Sample()
            photo = try Generator.image(of: sample.photo)
            picture = try Generator.image(of: await Generator().translate(sample.photo))
        } catch {
            status = error.localizedDescription
        }
    }

    @MainActor
    private func measure() async {
        isBusy = true
        status = "Measuring for a minute or so. Leave the phone alone."
        do {
            let report = try await Task.detached(priority: .userInitiated) { try await Benchmark().run() }.value
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("pocketgan-ios.json")
            try report.encoded().write(to: file, options: .atomic)
            result = file
            status = report.summary
        } catch {
            status = error.localizedDescription
        }
        isBusy = false
    }
}
