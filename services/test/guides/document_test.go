package guides

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var root = filepath.Join("..", "..", "..")

// block is a fenced block of a document.
type block struct {
	language, code string
	directive      string // the comment before it
	line           int
}

var (
	fence   = regexp.MustCompile("(?ms)(?:^<!-- ([^\n]*) -->\n)?^```(\\w*)\n(.*?)^```$")
	reason  = regexp.MustCompile(`^not run: \S`)
	written = regexp.MustCompile(`^(file|more of): (\S+)$`)
)

func readBlocks(t *testing.T, document string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	for _, m := range fence.FindAllStringSubmatchIndex(string(text), -1) {
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return string(text[m[2*i]:m[2*i+1]])
		}
		all = append(all, block{part(2), part(3), part(1), 1 + strings.Count(string(text[:m[4]]), "\n")})
	}
	return all
}

// commands returns what a reader types: a block of sh whole, and the lines of
// a console that begin with a prompt.
func (b block) commands() []string {
	switch b.language {
	case "sh":
		return []string{b.code}
	case "console":
		var all []string
		for line := range strings.Lines(b.code) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				all = append(all, command)
			}
		}
		return all
	}
	return nil
}
