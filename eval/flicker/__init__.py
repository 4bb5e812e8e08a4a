"""Flicker: how much a generator's images change where its photos hardly do."""
