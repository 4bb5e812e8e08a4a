"""`python -m benchmarks.quantizers`."""

from benchmarks.quantizers.cli import main

if __name__ == "__main__":
    main()
