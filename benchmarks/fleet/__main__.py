"""`python -m benchmarks.fleet`."""

from benchmarks.fleet.cli import main

if __name__ == "__main__":
    main()
