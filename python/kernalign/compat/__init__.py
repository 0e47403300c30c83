"""Other people's names over our engines."""

from kernalign.compat import platonic as platonic
