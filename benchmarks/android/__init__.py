"""`compress bench android`: `.tflite` files timed on a phone, by the official `benchmark_model`, over adb.

Written from the published sources of both, and tested against a stand-in for adb's server that answers in their
formats. It has not been run on a real phone yet.
"""
