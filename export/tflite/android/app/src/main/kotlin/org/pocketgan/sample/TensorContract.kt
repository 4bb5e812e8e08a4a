package org.pocketgan.sample

/** What the model takes and returns, from the manifest that its export wrote beside it. */
object TensorContract {
    const val MODEL_NAME = ${name}
    const val PRECISION = "${precision}"
    const val SIZE_BYTES = ${size_bytes}

    /** Of the file in the assets. */
    const val SHA256 = "${sha256}"
    const val ASSET = "model.tflite"

    /** Input and output are (1, HEIGHT_PX, WIDTH_PX, 3): rows from the top, then red, green, blue. */
    const val HEIGHT_PX = ${height_px}
    const val WIDTH_PX = ${width_px}

    /** Type of a value of both: float32, int8 or uint8. */
    const val DATA_TYPE = "${dtype}"

    /** Value of a black and of a white pixel, of both. */
    const val BLACK = ${black}f
    const val WHITE = ${white}f
}
