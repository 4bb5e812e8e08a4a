"""BlazeFace: MediaPipe's face detectors as `.tflite` files, run by LiteRT and decoded in NumPy.

The two files are those of the npm package `@mediapipe/face_detection` 0.4.1657300184, under the Apache License 2.0 of
the MediaPipe Authors; see NOTICE beside them.
"""
