"""Sources of text: readers, from a glob of files to `TextRecord`s, and batching by length."""
