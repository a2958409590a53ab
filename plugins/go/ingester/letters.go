package main

import (
	"strings"
	"unicode"
)

// What Unicode calls alphabetic is more than what Go calls letters.
func isAlphanumeric(character rune) bool {
	return unicode.IsLetter(character) || unicode.IsNumber(character) ||
		unicode.In(character, unicode.Other_Alphabetic, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func isLower(character rune) bool {
	return unicode.In(character, unicode.Ll, unicode.Other_Lowercase)
}

func isUpper(character rune) bool {
	return unicode.In(character, unicode.Lu, unicode.Other_Uppercase)
}

func isCased(character rune) bool {
	return isLower(character) || isUpper(character) || unicode.Is(unicode.Lt, character)
}

// Two letters have a lower case that Go's mapping, one to one, does not tell:
// the dotted I of Turkish, and sigma at the end of a word.
func lower(word string) string {
	if !strings.ContainsAny(word, "İΣ") {
		return strings.ToLower(word)
	}
	var text strings.Builder
	letters := []rune(word)
	for at, letter := range letters {
		afterCased := at > 0 && isCased(letters[at-1])
		beforeCased := at+1 < len(letters) && isCased(letters[at+1])
		switch {
		case letter == 'İ':
			text.WriteString("i\u0307")
		case letter == 'Σ' && afterCased && !beforeCased:
			text.WriteRune('ς')
		default:
			text.WriteRune(unicode.ToLower(letter))
		}
	}
	return text.String()
}
