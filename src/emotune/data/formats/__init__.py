"""One data file: its format, encoding and compression, and its rows as a `Table`."""
