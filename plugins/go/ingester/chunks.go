package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words whose full stop ends no sentence.
var abbreviations = map[string]bool{
	"cf": true, "dr": true, "e.g": true, "etc": true, "fig": true, "i.e": true, "mr": true,
	"mrs": true, "ms": true, "no": true, "prof": true, "st": true, "vs": true,
}

// Splits at paragraphs where they fit into `most` characters, else at
// sentences, else at words. Short paragraphs share a chunk. A single word that
// is longer stays whole.
func split(text string, most int) []string {
	chunks := packer{most: max(most, 1)}
	for _, paragraph := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		whole := squeeze(paragraph)
		if utf8.RuneCountInString(whole) <= chunks.most {
			chunks.add(whole, "\n\n")
			continue
		}
		chunks.close()
		for _, sentence := range sentences(whole) {
			if utf8.RuneCountInString(sentence) <= chunks.most {
				chunks.add(sentence, " ")
				continue
			}
			for _, word := range strings.Split(sentence, " ") {
				chunks.add(word, " ")
			}
		}
	}
	chunks.close()
	return chunks.done
}

type packer struct {
	most int
	done []string
	open string
}

func (chunks *packer) add(piece, separator string) {
	if piece == "" {
		return
	}
	room := max(chunks.most-utf8.RuneCountInString(chunks.open), 0)
	if chunks.open != "" && utf8.RuneCountInString(piece)+len(separator) > room {
		chunks.close()
	}
	if chunks.open != "" {
		chunks.open += separator
	}
	chunks.open += piece
}

func (chunks *packer) close() {
	if chunks.open != "" {
		chunks.done = append(chunks.done, chunks.open)
	}
	chunks.open = ""
}

// The text with every run of white space as one space.
func squeeze(text string) string {
	return strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
}

// The sentences of a paragraph without superfluous space.
func sentences(paragraph string) []string {
	var found, sentence []string
	words := strings.Fields(paragraph)
	for at, word := range words {
		sentence = append(sentence, word)
		last := at+1 == len(words)
		if last || (ends(word) && begins(words[at+1])) {
			found = append(found, strings.Join(sentence, " "))
			sentence = nil
		}
	}
	return found
}

// Whether a sentence may end with this word.
func ends(word string) bool {
	bare := strings.TrimRight(word, "\"')]”’")
	if strings.HasSuffix(bare, "!") || strings.HasSuffix(bare, "?") {
		return true
	}
	stem, dot := strings.CutSuffix(bare, ".")
	if !dot {
		return false
	}
	stem = strings.TrimLeft(stem, "([\"“‘")
	first, size := utf8.DecodeRuneInString(stem)
	initial := size > 0 && size == len(stem) && isUpper(first)
	return !initial && !abbreviations[lower(stem)]
}

func begins(word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	return !isLower(first)
}
