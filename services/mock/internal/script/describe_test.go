package script

import (
	"reflect"
	"strings"
	"testing"

	"windlass.dev/windlass/services/mock/internal/fault"
)

func TestEveryMemberOfAPlanIsDescribed(t *testing.T) {
	t.Parallel()
	text := Describe()
	for _, of := range []reflect.Type{reflect.TypeFor[Plan](), reflect.TypeFor[fault.Fault]()} {
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if help := f.Tag.Get("help"); help == "" || !strings.Contains(text, help) {
				t.Errorf("%s.%s has the help %q, want one that is shown", of.Name(), f.Name, help)
			}
			if !strings.Contains(text, "  "+name+" ") {
				t.Errorf("the description does not name %s", name)
			}
		}
	}
	for _, m := range fault.Modes() {
		if err := (fault.Fault{Mode: m.Name}).Check(); err != nil || m.Help == "" {
			t.Errorf("mode %q: %v, described as %q", m.Name, err, m.Help)
		}
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > 116 { // a terminal of 120 columns, and the help's indentation
			t.Errorf("line %d has %d columns: %s", i, len(line), line)
		}
	}
}
