package org.pocketgan.sample

import android.content.res.AssetManager
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt

/** The generator: a photo of any size in, a picture of the model's size out. One thread at a time. */
class Generator(assets: AssetManager) : AutoCloseable {
    private val model =
        CompiledModel.create(assets, TensorContract.ASSET, CompiledModel.Options(Accelerator.CPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()
    private val pixels = Pixels(TensorContract.BLACK, TensorContract.WHITE)

    /** @param photo Of the model's size, as `fit` makes it. */
    fun translate(photo: Bitmap): Bitmap {
        val (width, height) = TensorContract.WIDTH_PX to TensorContract.HEIGHT_PX
        val taken = IntArray(width * height)
        photo.getPixels(taken, 0, width, 0, 0, width, height)
        val isFloat = TensorContract.DATA_TYPE == "float32"
        if (isFloat) {
            inputs[0].writeFloat(pixels.toFloats(taken))
        } else {
            inputs[0].writeInt8(pixels.toBytes(taken))
        }
        model.run(inputs, outputs)
        val made =
            if (isFloat) {
                pixels.fromFloats(outputs[0].readFloat())
            } else {
                pixels.fromBytes(outputs[0].readInt8(), isUnsigned = TensorContract.DATA_TYPE == "uint8")
            }
        return Bitmap.createBitmap(made, width, height, Bitmap.Config.ARGB_8888)
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }

    companion object {
        /** The middle of a photo, scaled to the model's size. */
        fun fit(photo: Bitmap): Bitmap {
            val (width, height) = TensorContract.WIDTH_PX to TensorContract.HEIGHT_PX
            val scale = max(width / photo.width.toFloat(), height / photo.height.toFloat())
            val cutWidth = min(photo.width, (width / scale).roundToInt())
            val cutHeight = min(photo.height, (height / scale).roundToInt())
            val left = (photo.width - cutWidth) / 2
            val top = (photo.height - cutHeight) / 2
            var fitted = Bitmap.createBitmap(photo, left, top, cutWidth, cutHeight)
            // Each halving averages four pixels; scaled down at once, most of the photo would not be looked at.
            while (fitted.width >= 2 * width && fitted.height >= 2 * height) {
                fitted = Bitmap.createScaledBitmap(fitted, fitted.width / 2, fitted.height / 2, true)
            }
            return Bitmap.createScaledBitmap(fitted, width, height, true)
        }
    }
}
