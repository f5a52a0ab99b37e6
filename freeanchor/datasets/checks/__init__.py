"""What a check of a data set looks at, one matter in a file."""
