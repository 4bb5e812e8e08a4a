"""What a student starts from, where it is not untrained: the teacher's own layers, or an earlier student."""
