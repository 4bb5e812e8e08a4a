"""`compress bench browser`: a page that runs `.tflite` files with LiteRT.js, its server, and a headless Chromium."""
