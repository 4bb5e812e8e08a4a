package org.pocketgan.sample

import kotlin.math.roundToInt

/**
 * Pixels as Android has them, 0xAARRGGBB, to the values of a tensor and back.
 *
 * @param black Value of a black pixel in the tensor.
 * @param white Value of a white pixel.
 */
class Pixels(private val black: Float, private val white: Float) {
    /** Values of a float32 tensor. */
    fun toFloats(pixels: IntArray): FloatArray = FloatArray(3 * pixels.size) { valueOf(channel(pixels, it)) }

    /** Values of an int8 or a uint8 tensor; Kotlin's bytes are signed, LiteRT takes their bits. */
    fun toBytes(pixels: IntArray): ByteArray =
        ByteArray(3 * pixels.size) { valueOf(channel(pixels, it)).roundToInt().toByte() }

    fun fromFloats(values: FloatArray): IntArray =
        IntArray(values.size / 3) { opaque { step -> byteOf(values[3 * it + step]) } }

    /** @param isUnsigned Whether the tensor is uint8, not int8. */
    fun fromBytes(values: ByteArray, isUnsigned: Boolean): IntArray =
        IntArray(values.size / 3) {
            opaque { step ->
                val value = values[3 * it + step].toInt()
                byteOf((if (isUnsigned) value and 0xFF else value).toFloat())
            }
        }

    private fun valueOf(byte: Int): Float = black + byte * (white - black) / 255f

    /** Values beyond black and white, which a generator may make, are cut. */
    private fun byteOf(value: Float): Int = ((value - black) * 255f / (white - black)).coerceIn(0f, 255f).roundToInt()

    private fun channel(pixels: IntArray, place: Int): Int = pixels[place / 3] shr (16 - 8 * (place % 3)) and 0xFF

    private fun opaque(byteAt: (Int) -> Int): Int =
        (0xFF shl 24) or (byteAt(0) shl 16) or (byteAt(1) shl 8) or byteAt(2)
}
