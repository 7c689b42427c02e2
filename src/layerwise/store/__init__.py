"""The store: a Lance dataset with one row a unit and one column a layer (FORMAT.md)."""
