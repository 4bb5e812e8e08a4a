"""What is written, and how: one owner at a time, all or nothing, and never over what somebody else made."""
