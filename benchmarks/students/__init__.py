"""`compress bench students`: trained students, published students and their teacher in one table, images and all."""
