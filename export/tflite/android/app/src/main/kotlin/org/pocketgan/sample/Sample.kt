package org.pocketgan.sample

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import kotlin.math.abs
import kotlin.math.max

/** The photo that comes with the model, and the picture that the model's export made of it on a computer. */
class Sample(assets: AssetManager) {
    val photo: Bitmap = decode(ImageDecoder.createSource(assets, "photo.png"))
    private val expected: Bitmap = decode(ImageDecoder.createSource(assets, "expected.png"))

    /** Largest difference of a picture from the expected one, in steps of 1/255: 0 to 2 is rounding. */
    fun largestDifference(picture: Bitmap): Int {
        var largest = 0
        for ((made, wanted) in colours(picture).zip(colours(expected))) {
            for (shift in intArrayOf(0, 8, 16)) {
                largest = max(largest, abs((made shr shift and 0xFF) - (wanted shr shift and 0xFF)))
            }
        }
        return largest
    }

    private fun colours(picture: Bitmap): IntArray {
        val pixels = IntArray(picture.width * picture.height)
        picture.getPixels(pixels, 0, picture.width, 0, 0, picture.width, picture.height)
        return pixels
    }

    companion object {
        /** Reads a photo upright, in sRGB, and no larger than four times the model's size in either direction. */
        fun decode(source: ImageDecoder.Source): Bitmap =
            ImageDecoder.decodeBitmap(source) { decoder, info, _ ->
                decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
                decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
                val (width, height) = info.size.width to info.size.height
                val ratio = minOf(width / TensorContract.WIDTH_PX, height / TensorContract.HEIGHT_PX)
                decoder.setTargetSampleSize(max(1, ratio / 4))
            }
    }
}
