"""SQLite files, and group commits to them."""
