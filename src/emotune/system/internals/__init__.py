"""Private interfaces of other libraries that emotune relies on: one module per library, with the checked versions.

`CHECKED` in each module is the range that pyproject.toml declares; a test compares the two. The module for PEFT is
beside the tuners that use it, `emotune.methods.tuners.wrapping`. No other module of the package reads a name that
begins with an underscore from another library.
"""
