"""`compress bench ios`: measurements of the Swift package on an iPhone or a Mac."""
