"""A document as chunks that end where a reader would pause."""

import re

# Without what Unicode calls white space; `\S` and `str.split` have more of it.
_PIECES = re.compile(
    "[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
)

# Words whose full stop ends no sentence.
_ABBREVIATIONS = {
    "cf", "dr", "e.g", "etc", "fig", "i.e", "mr", "mrs", "ms", "no", "prof", "st", "vs",
}  # fmt: skip


def split(text, most):
    """Splits at paragraphs where they fit into `most` characters, else at
    sentences, else at words. Short paragraphs share a chunk. A single word that
    is longer stays whole."""
    chunks = _Packer(max(most, 1))
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        whole = _squeeze(paragraph)
        if len(whole) <= chunks.most:
            chunks.add(whole, "\n\n")
            continue
        chunks.close()
        for sentence in _sentences(whole):
            if len(sentence) <= chunks.most:
                chunks.add(sentence, " ")
            else:
                for word in sentence.split(" "):
                    chunks.add(word, " ")
    chunks.close()
    return chunks.done


class _Packer:
    def __init__(self, most):
        self.most = most
        self.done = []
        self._open = ""

    def add(self, piece, separator):
        if not piece:
            return
        room = max(self.most - len(self._open), 0)
        if self._open and len(piece) + len(separator) > room:
            self.close()
        self._open += separator + piece if self._open else piece

    def close(self):
        if self._open:
            self.done.append(self._open)
        self._open = ""


def _squeeze(text):
    """The text with every run of white space as one space."""
    return " ".join(_PIECES.findall(text))


def _sentences(paragraph):
    """The sentences of a paragraph without superfluous space."""
    found, sentence = [], []
    words = paragraph.split(" ") if paragraph else []
    for word, after in zip(words, [*words[1:], None]):
        sentence.append(word)
        if after is None or (_ends(word) and not after[0].islower()):
            found.append(" ".join(sentence))
            sentence = []
    return found


def _ends(word):
    """Whether a sentence may end with this word."""
    bare = word.rstrip("\"')]”’")
    if bare.endswith(("!", "?")):
        return True
    if not bare.endswith("."):
        return False
    stem = bare[:-1].lstrip("([\"“‘")
    initial = len(stem) == 1 and stem.isupper()
    return not initial and stem.lower() not in _ABBREVIATIONS
