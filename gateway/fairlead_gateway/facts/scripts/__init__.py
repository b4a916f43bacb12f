"""The scripts of the shared facts; the first lines of each name every KEY and ARGV."""
