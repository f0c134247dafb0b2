"""Key terms: how many of the words that a user needs are written, and how many that nobody said.

In reading order:

    counting    Key terms said, written and invented, clip by clip, and errors in all other words
    figures     How many of them both sides of a comparison write, and how surely
    bonus       How likely they are to be beforehand, chosen on validation clips
    results     A run's: what the tuning brings, and apart from it what writing the list brings
    rare_words  How many of the words that training had never, or hardly ever, are written
    proposed    Terms proposed from texts that somebody corrected
    phrasing    These figures in words
"""
