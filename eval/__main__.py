"""`python -m eval`: the shell's own `eval` builtin hides a command of that name."""

from eval.cli import main

if __name__ == "__main__":
    main()
