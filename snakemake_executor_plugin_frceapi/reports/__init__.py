"""What a user reads of a whole run: a line, a table, a page."""
