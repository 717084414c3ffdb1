"""Running scenarios against a live target: diagnosis first, then side by side, then judging."""
