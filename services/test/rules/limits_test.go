package rules

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// limits are what is measured and how much of it is allowed.
var limits = map[string]int{
	"files":          15,  // of a package, tests left out
	"exported":       25,  // top-level names of a package
	"doc":            40,  // lines of a package's comment
	"file lines":     300, // of a file, tests left out
	"test lines":     400, // of a file of tests, whose tables are complete
	"function lines": 70,  // of a function, tests left out; 45 is better
	"code columns":   120, // of a line, a tab is 4; tests left out, whose tables have long rows
	"comment":        80,  // columns of a line that is a comment
}

// size is one thing that exceeds its limit.
type size struct {
	limit, of string
	value     int
}

// TestLimits holds packages, files, functions and lines to their limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	var over []size
	add := func(limit, of string, value int) {
		if value > limits[limit] {
			over = append(over, size{limit, of, value})
		}
	}
	for _, p := range goPackages(t) {
		add("files", p.dir, len(p.files))
		add("exported", p.dir, len(p.exported()))
		add("doc", p.dir, strings.Count(p.doc(), "\n"))
		for _, f := range append(p.files, p.tests...) {
			if f.test {
				add("test lines", f.path, len(f.lines))
			} else {
				add("file lines", f.path, len(f.lines))
			}
			code, comment := f.columns()
			if !f.test {
				add("code columns", f.path, code)
			}
			add("comment", f.path, comment)
			for _, fn := range f.functions() {
				if !f.test {
					add("function lines", f.path+" "+fn.name, fn.lines)
				}
			}
		}
	}
	checkExceptions(t, over)
}

var unbreakable = regexp.MustCompile(`https?://|^//(go:|nolint|export |line )|^// *\S+$|^//\t`)

// columns returns the longest line of code and the longest comment that has a
// line of its own. Struct tags, strings over a whole line and addresses in
// comments cannot be broken and do not count.
func (f goFile) columns() (code, comment int) {
	for _, line := range f.lines {
		text := strings.TrimLeft(line, "\t")
		columns := utf8.RuneCountInString(text) + 4*(len(line)-len(text))
		switch {
		case strings.HasPrefix(text, "//"):
			if !unbreakable.MatchString(text) {
				comment = max(comment, columns)
			}
		case strings.HasPrefix(text, "\"") || strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`"):
		default:
			code = max(code, columns)
		}
	}
	return code, comment
}
