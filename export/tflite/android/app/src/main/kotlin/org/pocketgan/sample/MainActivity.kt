package org.pocketgan.sample

import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Bundle
import android.os.SystemClock
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts
import androidx.core.content.FileProvider
import java.io.File
import java.util.concurrent.Executors

/** One screen: pick or take a photo, see what the model makes of it. It begins with the sample. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()

    // Used on the worker's thread alone.
    private val generator by lazy { Generator(assets) }
    private val taken: Uri by lazy {
        val folder = File(cacheDir, "photos").apply { mkdirs() }
        FileProvider.getUriForFile(this, "org.pocketgan.sample.photos", File(folder, "taken.jpg"))
    }
    private val picker =
        registerForActivityResult(ActivityResultContracts.PickVisualMedia()) { photo ->
            if (photo != null) showTranslation(photo)
        }
    private val camera =
        registerForActivityResult(ActivityResultContracts.TakePicture()) { isTaken ->
            if (isTaken) showTranslation(taken)
        }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        findViewById<Button>(R.id.pick).setOnClickListener {
            picker.launch(PickVisualMediaRequest(ActivityResultContracts.PickVisualMedia.ImageOnly))
        }
        findViewById<Button>(R.id.take).setOnClickListener { camera.launch(taken) }
        inBackground { showSample() }
    }

    override fun onDestroy() {
        inBackground { generator.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun showSample() {
        val sample = Sample(assets)
        val picture = generator.translate(sample.photo)
        val difference = sample.largestDifference(picture)
        show(sample.photo, picture, "$SUMMARY\nsample: at most $difference steps of 255 from the export's picture")
    }

    private fun showTranslation(photo: Uri) =
        inBackground {
            val fitted = Generator.fit(Sample.decode(ImageDecoder.createSource(contentResolver, photo)))
            val started = SystemClock.elapsedRealtimeNanos()
            val picture = generator.translate(fitted)
            val took = (SystemClock.elapsedRealtimeNanos() - started) / 1e6
            show(fitted, picture, "%s\n%.1f ms with the copying of pixels".format(SUMMARY, took))
        }

    private fun show(photo: Bitmap, picture: Bitmap, text: String) =
        runOnUiThread {
            findViewById<ImageView>(R.id.photo).setImageBitmap(photo)
            findViewById<ImageView>(R.id.picture).setImageBitmap(picture)
            findViewById<TextView>(R.id.status).text = text
        }

    /** A photo may be broken or gone: that is told, not a crash. */
    private fun inBackground(work: () -> Unit) =
        worker.execute {
            try {
                work()
            } catch (error: Exception) {
                runOnUiThread { findViewById<TextView>(R.id.status).text = error.toString() }
            }
        }

    private companion object {
        const val SUMMARY =
            "${TensorContract.MODEL_NAME}: ${TensorContract.WIDTH_PX}x${TensorContract.HEIGHT_PX} px, " +
                "${TensorContract.PRECISION}, ${TensorContract.SIZE_BYTES / 1000} kB"
    }
}
