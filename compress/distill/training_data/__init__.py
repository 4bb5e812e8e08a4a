"""What a student learns from: photos, the teacher's images of them, real images of the target domain."""
