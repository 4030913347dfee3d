"""Entry point of `python -m emotune`, the same as the command `emotune`."""

from emotune.cli import main

if __name__ == "__main__":
    main()
