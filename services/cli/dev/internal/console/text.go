package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap/zapcore"
)

// maxText bounds each of a line's parts, in runes.
const maxText = 320

// line is what the console prints of a record.
type line struct {
	level zapcore.Level // compared with the console's level
	word  string        // failed, retry, refused, done …
	id    string        // of the request, as its client knows it
	about string        // model small, tool lookup_order, POST /v1/responses
	say   string        // what happened
	hint  string        // what to do next
	key   string        // lines with the same key are repeats; "": never
	burst int           // how many repeats are printed in a window
	state bool          // describes a state: printed once in stateWindow, not counted
}

// text formats the line.
func (l line) text(at time.Time, color bool) string {
	paint := func(code, s string) string {
		if !color || s == "" {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	parts := []string{paint("2", at.Local().Format(time.TimeOnly)), paint(l.tone(), fmt.Sprintf("%-8s", l.word))}
	if l.id != "" {
		parts = append(parts, clean(l.id))
	}
	say := clean(l.say)
	if l.about != "" {
		say = strings.TrimSuffix(clean(l.about)+": "+say, ": ")
	}
	parts = append(parts, say)
	if l.hint != "" {
		parts = append(parts, paint("36", " → "+clean(l.hint)))
	}
	return strings.Join(parts, " ") + "\n"
}

func (l line) tone() string {
	switch {
	case l.level >= zapcore.ErrorLevel:
		return "31" // red
	case l.level == zapcore.WarnLevel && l.word != "ok":
		return "33" // yellow
	case l.level == zapcore.DebugLevel:
		return "2" // dim
	}
	return "32" // green
}

// clean shortens text and makes it safe for a terminal: it escapes what is not
// printable, like escape sequences and line ends.
func clean(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > maxText {
			b.WriteString("…")
			break
		}
		if r == ' ' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// short formats a duration for people.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
