package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestLogLinesAreBounded(t *testing.T) {
	t.Parallel()
	var many []error
	for n := range 2000 {
		many = append(many, fmt.Errorf("publish windlass.tool.%032x: no response", n))
	}
	for name, log := range map[string]func(*zap.Logger){
		"an error that joins many": func(l *zap.Logger) { l.Error("sweep failed", zap.Error(errors.Join(many...)), zap.Int("n", 1)) },
		"a long message":           func(l *zap.Logger) { l.Info(strings.Repeat("ä", 9000), zap.Int("n", 1)) },
		"text that needs escapes":  func(l *zap.Logger) { l.Info("m", zap.String("error", strings.Repeat("\x00", 9000)), zap.Int("n", 1)) },
		"a list":                   func(l *zap.Logger) { l.Info("m", zap.Errors("errors", many), zap.Int("n", 1)) },
		"long fields of a logger": func(l *zap.Logger) {
			l.With(zap.String("a", strings.Repeat("x", 9000))).Info("m", zap.String("b", strings.Repeat("x", 9000)))
		},
	} {
		for _, format := range []string{"json", "console"} {
			t.Run(name+" in "+format, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				l, err := NewLogger(&out, "info", format)
				if err != nil {
					t.Fatal(err)
				}
				log(l.With(zap.String("service", "s")))
				line := out.Bytes()
				if len(line) > maxLine || bytes.Count(line, []byte("\n")) != 1 {
					t.Errorf("the line has %d bytes, want at most %d", len(line), maxLine)
				}
				if !bytes.Contains(line, []byte("bytes")) {
					t.Errorf("the line has no mark: %s", line)
				}
				if format == "json" && !json.Valid(line) {
					t.Errorf("the line is not JSON: %s", line)
				}
			})
		}
	}
	var out bytes.Buffer
	l, err := NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Repeat("x", maxLine-200)
	if l.Info("m", zap.String("error", whole)); !strings.Contains(out.String(), whole) {
		t.Error("a line that is not too long was cut")
	}
}
