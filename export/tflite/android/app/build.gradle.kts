plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.pocketgan.sample"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.pocketgan.sample"
        // ImageDecoder, which turns photos upright and reads their colours, came with 28; LiteRT needs 24.
        minSdk = 28
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }
    // LiteRT maps the model into memory, which a compressed asset cannot be.
    androidResources { noCompress += "tflite" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

kotlin {
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17)
        // As Google's own samples of LiteRT 2.3.0 do, whose classes a newer Kotlin compiled.
        freeCompilerArgs.add("-Xskip-metadata-version-check")
    }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    implementation("androidx.activity:activity:1.12.1")
    implementation("androidx.core:core:1.17.0")
}
