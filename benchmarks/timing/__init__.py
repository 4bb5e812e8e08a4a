"""What every timing shares: interleaved turns, noise, the machine, cold starts, accepted speeds."""
