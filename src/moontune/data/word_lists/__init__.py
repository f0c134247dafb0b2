"""A user's lists of words: key terms, and sentences to read.

In reading order:

    items      Lines of a user's text file: sentences to read, words to know
    key_terms  Words and phrases that a recogniser must know: names, products, drugs, call signs
"""
