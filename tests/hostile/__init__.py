"""Messages as malice or a broken system may write them, by the thousand, from a seed."""
