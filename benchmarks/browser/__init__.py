"""`.tflite` files in a browser: a page that runs them with LiteRT.js, its server, a headless Chromium to open it."""
