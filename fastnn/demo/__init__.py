"""What `python -m fastnn demo` shows."""
