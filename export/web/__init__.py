"""`compress export web`: a page that runs a student in the browser, with the camera; and its server."""
