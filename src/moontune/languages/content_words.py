"""Words that say what a text is about."""

from __future__ import annotations

from moontune.languages.table import ENGLISH, current

_FUNCTION_WORDS = {  # of English, as the normaliser writes them
    *("a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at"),
    *("back", "be", "because", "been", "before", "but", "by", "can", "could", "did", "do"),
    *("does", "down", "for", "from", "get", "go", "got", "had", "has", "have", "he", "her"),
    *("here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "know"),
    *("like", "me", "more", "my", "no", "not", "now", "of", "off", "oh", "on", "one", "only"),
    *("or", "other", "our", "out", "over", "she", "so", "some", "than", "that", "the"),
    *("their", "them", "then", "there", "these", "they", "this", "to", "too", "um", "uh"),
    *("up", "us", "very", "was", "we", "well", "went", "were", "what", "when", "where"),
    *("which", "who", "why", "will", "with", "would", "yes", "yeah", "you", "your"),
}


def is_content_word(word: str) -> bool:
    """Whether a normalised word says what a text is about: it begins with a letter, so is no
    number, and in English is none of the commonest, like `the`."""
    return word[:1].isalpha() and not (current() == ENGLISH and word in _FUNCTION_WORDS)
