/** A deterministic embedding of text. */

/** Length of every embedding. */
const DIMENSION = 16;

/** Words that say nothing about what a text is about. */
const STOP_WORDS = new Set([
  "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
  "before", "between", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from",
  "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
  "may", "me", "more", "most", "must", "my", "no", "not", "of", "on", "one", "only", "or",
  "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that", "the",
  "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "was",
  "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
  "you", "your",
]);

/** For `match`: `split` would compile it anew each time, which costs most. */
const WORDS = /[\p{Alphabetic}\p{N}]+/gu;

/**
 * A bag of words, each hashed to one of the dimensions with a sign, normalised
 * to unit length. The same text gives the same vector in every language that
 * the ingester is written in: all steps round as single precision does.
 */
export function embed(text) {
  const vector = new Float32Array(DIMENSION);
  for (const word of words(text)) {
    const hash = fnv1a(utf8(word));
    vector[Number(hash % 16n)] += (hash & (1n << 32n)) === 0n ? 1 : -1;
  }
  const squares = vector.reduce((sum, value) => Math.fround(sum + Math.fround(value * value)), 0);
  const length = Math.fround(Math.sqrt(squares));
  if (length > 0) return vector.map((value) => value / length);
  vector[0] = 1;
  return vector;
}

/** The words that say something: lower-cased, without the `s` of a plural. */
function words(text) {
  return (text.match(WORDS) ?? [])
    .map((word) => word.toLowerCase())
    .filter((word) => !STOP_WORDS.has(word))
    .map(singular)
    .filter((word) => [...word].length > 1);
}

function singular(word) {
  const plural = utf8(word).length > 3 && word.endsWith("s") && !word.endsWith("ss");
  return plural ? word.slice(0, -1) : word;
}

/** FNV-1a, 64 bits, with a last mix: its low bits alone spread badly. */
function fnv1a(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  const mixed = BigInt.asUintN(64, (hash ^ (hash >> 29n)) * 0xbf58476d1ce4e5b9n);
  return mixed ^ (hash >> 32n);
}

/** The engine has no TextEncoder. */
function utf8(text) {
  const bytes = [];
  for (const character of text) {
    const scalar = character.codePointAt(0);
    const tail = (shift) => 0x80 | ((scalar >> shift) & 0x3f);
    if (scalar < 0x80) bytes.push(scalar);
    else if (scalar < 0x800) bytes.push(0xc0 | (scalar >> 6), tail(0));
    else if (scalar < 0x10000) bytes.push(0xe0 | (scalar >> 12), tail(6), tail(0));
    else bytes.push(0xf0 | (scalar >> 18), tail(12), tail(6), tail(0));
  }
  return bytes;
}
