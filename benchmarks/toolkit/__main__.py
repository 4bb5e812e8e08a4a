"""`python -m benchmarks.toolkit`."""

from benchmarks.toolkit.cli import main

if __name__ == "__main__":
    main()
