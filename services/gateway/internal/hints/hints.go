// Package hints finds the route that a client probably meant by the path that
// it wrote. It only writes text for error messages.
package hints

import "strings"

const (
	most    = 3   // routes are named
	maxWord = 100 // longer segments are not compared letter by letter
)

// List writes names as English does: 'a', 'b' or 'c'.
func List(names []string, last string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" " + last + " ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString("'" + name + "'")
	}
	return b.String()
}
