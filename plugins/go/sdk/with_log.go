//go:build soma_log

package soma

import (
	"log"
	"strings"
)

// Package log writes to the task's log.
func init() {
	log.SetFlags(0)
	log.SetOutput(lines{})
}

type lines struct{}

func (lines) Write(text []byte) (int, error) {
	Log(Info, strings.TrimRight(string(text), "\n"), nil)
	return len(text), nil
}

func tellPanic(message string, stack []byte) {
	Log(Error, message, map[string]any{"stack": string(stack)})
}
