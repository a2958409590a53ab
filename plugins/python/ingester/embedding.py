"""A deterministic embedding of text."""

import math
import re
import struct

from letters import MARKS

# Length of every embedding.
DIMENSION = 16

# Words that say nothing about what a text is about.
_STOP_WORDS = {
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "between", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from",
    "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "more", "most", "must", "my", "no", "not", "of", "on", "one", "only", "or",
    "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
    "you", "your",
}  # fmt: skip

_WORD = re.compile(f"(?:[^\\W_]|[{MARKS}])+")


def embed(text):
    """A bag of words, each hashed to one of the dimensions with a sign,
    normalised to unit length.

    The same text gives the same vector in every language that the ingester is
    written in: all steps round as single precision does.
    """
    vector = [0.0] * DIMENSION
    for word in _words(text):
        hash = _fnv1a(word.encode())
        axis = hash % DIMENSION
        vector[axis] = _single(vector[axis] + (-1.0 if hash & (1 << 32) else 1.0))
    squares = 0.0
    for value in vector:
        squares = _single(squares + _single(value * value))
    length = _single(math.sqrt(squares))
    if length > 0:
        return [_single(value / length) for value in vector]
    return [1.0] + vector[1:]


def _single(value):
    """The nearest number of single precision."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def _words(text):
    """The words that say something: lower-cased, without the `s` of a plural."""
    for word in _WORD.findall(text):
        word = word.lower()
        if word in _STOP_WORDS:
            continue
        if len(word.encode()) > 3 and word.endswith("s") and not word.endswith("ss"):
            word = word[:-1]
        if len(word) > 1:
            yield word


def _fnv1a(bytes):
    """FNV-1a, 64 bits, with a last mix: its low bits alone spread badly."""
    hash = 0xCBF29CE484222325
    for byte in bytes:
        hash = ((hash ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    mixed = ((hash ^ (hash >> 29)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return mixed ^ (hash >> 32)
