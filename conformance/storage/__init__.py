"""SQLite files and group commits to them, for the inbox and the sender's queue."""
