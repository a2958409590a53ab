/** A document as chunks that end where a reader would pause. */

/** Without what Unicode calls white space; `\S` is not the same. */
const PIECES = /[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu;

/** Words whose full stop ends no sentence. */
const ABBREVIATIONS = new Set([
  "cf", "dr", "e.g", "etc", "fig", "i.e", "mr", "mrs", "ms", "no", "prof", "st", "vs",
]);

const UPPERCASE = /^\p{Uppercase}$/u;
const LOWERCASE_FIRST = /^\p{Lowercase}/u;

/**
 * Splits at paragraphs where they fit into `most` characters, else at
 * sentences, else at words. Short paragraphs share a chunk. A single word that
 * is longer stays whole.
 */
export function split(text, most) {
  const chunks = new Packer(Math.max(most, 1));
  for (const paragraph of text.replaceAll("\r\n", "\n").split("\n\n")) {
    const whole = squeeze(paragraph);
    if (characters(whole) <= chunks.most) {
      chunks.add(whole, "\n\n");
      continue;
    }
    chunks.close();
    for (const sentence of sentences(whole)) {
      if (characters(sentence) <= chunks.most) chunks.add(sentence, " ");
      else sentence.split(" ").forEach((word) => chunks.add(word, " "));
    }
  }
  chunks.close();
  return chunks.done;
}

class Packer {
  done = [];
  #open = "";

  constructor(most) {
    this.most = most;
  }

  add(piece, separator) {
    if (piece === "") return;
    const room = Math.max(this.most - characters(this.#open), 0);
    if (this.#open !== "" && characters(piece) + separator.length > room) this.close();
    this.#open += this.#open === "" ? piece : separator + piece;
  }

  close() {
    if (this.#open !== "") this.done.push(this.#open);
    this.#open = "";
  }
}

/** Counts code points, not the units of a string. */
function characters(text) {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The text with every run of white space as one space. */
function squeeze(text) {
  return (text.match(PIECES) ?? []).join(" ");
}

/** The sentences of a paragraph without superfluous space. */
function sentences(paragraph) {
  const found = [];
  const words = paragraph.split(" ").filter((word) => word !== "");
  let start = 0;
  words.forEach((word, at) => {
    const next = words[at + 1];
    if (next === undefined || (ends(word) && !LOWERCASE_FIRST.test(next))) {
      found.push(words.slice(start, at + 1).join(" "));
      start = at + 1;
    }
  });
  return found;
}

/** Whether a sentence may end with this word. */
function ends(word) {
  const bare = word.replace(/["')\]”’]+$/u, "");
  if (/[!?]$/u.test(bare)) return true;
  if (!bare.endsWith(".")) return false;
  const stem = bare.slice(0, -1).replace(/^[(["“‘]+/u, "");
  return !UPPERCASE.test(stem) && !ABBREVIATIONS.has(stem.toLowerCase());
}
