"""What a file's reader found and what the user says become one description in [-1, 1] RGB, proved by pictures."""
