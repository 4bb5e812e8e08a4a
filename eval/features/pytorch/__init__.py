"""The feature networks as torch-fidelity's extractors: an oracle, and `--extractor torch-fidelity`. Needs torch."""
