// swift-tools-version: 5.9
import PackageDescription

let package = Package(
    name: "PocketGenerator",
    platforms: [.iOS(.v${ios}), .macOS(.v${macos})],
    products: [.library(name: "PocketGenerator", targets: ["PocketGenerator"])],
    targets: [
        // The model is copied as it is and compiled on the device: `swift build` does not compile Core ML models.
        .target(
            name: "PocketGenerator",
            resources: [.copy("model.mlpackage"), .copy("photo.bgra"), .copy("expected.bgra")]
        ),
        .executableTarget(name: "pocket-benchmark", dependencies: ["PocketGenerator"]),
    ]
)
