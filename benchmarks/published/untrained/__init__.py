"""`compress bench table`: teacher, students and published students in one run, and how they scale."""
