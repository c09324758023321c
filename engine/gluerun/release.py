"""Which engine this is, and which data contract it keeps. It imports nothing: every cycle may ask."""

VERSION = "0.1.0"
# The same word as in the file SCHEMA_VERSION, which other programs read.
SCHEMA = "v1"
