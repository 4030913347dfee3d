"""What emotune relies on and a library does not promise: one module per library, each with the versions that it was checked with.

`CHECKED` in each module is the range that pyproject.toml declares, and a test compares the two. PEFT's own module stands beside
the tuners that it serves, `emotune.methods.tuners.wrapping`. Nothing else in the package reads a name that begins with an
underscore from another library.
"""
