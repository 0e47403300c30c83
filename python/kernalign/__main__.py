"""``python -m kernalign``: the command line."""

from kernalign.cli import main

if __name__ == "__main__":
    main(prog_name="python -m kernalign")
