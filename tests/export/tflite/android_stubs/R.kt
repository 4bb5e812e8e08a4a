package org.pocketgan.sample

/** What Gradle's plugin makes of the folder of resources. */
object R {
    object id {
        const val pick = 1
        const val take = 2
        const val photo = 3
        const val picture = 4
        const val status = 5
    }

    object layout {
        const val main = 6
    }
}
