"""What depends on the language that is spoken and written.

In reading order:

    table  Languages: what of measuring, writing and decoding depends on the one that is spoken
    words  Written words: between spaces, or single characters in languages that do not separate
           words
    letters
           Letters: which language texts look like
    content_words
           Words that say what a text is about
"""
