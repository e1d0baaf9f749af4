"""Plain values that every layer speaks of. numpy at most: no files, no torch, no Qt."""
