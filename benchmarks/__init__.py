"""What a phone feels: latency, memory, size and delegate coverage of model files, measured side by side."""
