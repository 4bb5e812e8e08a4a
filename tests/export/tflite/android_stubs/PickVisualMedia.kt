package androidx.activity.result

import androidx.activity.result.contract.ActivityResultContracts

@Suppress("FunctionName", "UNUSED_PARAMETER")
fun PickVisualMediaRequest(mediaType: ActivityResultContracts.PickVisualMedia.VisualMediaType): PickVisualMediaRequest =
    throw NotImplementedError()
