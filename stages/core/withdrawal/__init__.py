"""Withdrawal: a participant is left out for ever, what held the data is rebuilt, and what was made of it is listed."""
