"""`python -m benchmarks.runtimes`."""

from benchmarks.runtimes.cli import main

if __name__ == "__main__":
    main()
