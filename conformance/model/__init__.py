"""Values: exchange, rule, result, report; errors and the clock. No I/O, and nothing of how they are shown."""
