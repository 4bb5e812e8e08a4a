"""`compress bench ios`: what the Swift package measured on an iPhone or a Mac."""
