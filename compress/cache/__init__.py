"""The user's cache: results that are kept for the next command, checked by their hash before they are taken."""
