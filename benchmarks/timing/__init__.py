"""Shared parts of every timing: noise, the machine, cold starts, accepted speed-ups and flags."""
