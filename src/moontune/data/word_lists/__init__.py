"""A user's lists of words: key terms, sentences to read, text of a domain.

In reading order:

    items      Lines of a user's text file: sentences to read, words to know
    key_terms  Words and phrases that a recogniser must know: names, products, drugs, call signs
    domain_text
               Text of a user's domain, as what is said there is worded
"""
