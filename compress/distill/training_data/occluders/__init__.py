"""Occluders that a lens meets: glasses, hands, hair strands and microphones, drawn and pasted over training images."""
