"""The tests, in the layout of src/emotune."""
