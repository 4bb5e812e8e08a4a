/// What was known of the model when this package was written.
enum ExportedModel {
    static let name = ${name}
    static let precision = "${precision}"
    /// Of the `.mlpackage`: its files' relative names and bytes, in sorted order.
    static let packageSHA256 = "${sha256}"
    static let sizeBytes = ${size_bytes}
    static let heightPx = ${height_px}
    static let widthPx = ${width_px}
}
