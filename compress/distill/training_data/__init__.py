"""Training data of a student: photos, the teacher's images of them, real images of the target domain."""
