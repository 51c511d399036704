"""`python -m arrange` is the command `arrange`."""

from arrange.command import main

if __name__ == "__main__":
    main()
