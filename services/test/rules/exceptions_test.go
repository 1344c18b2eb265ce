package rules

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/exceptions.tsv; new entries get the reason \"in progress\"")

const unexplained = "in progress"

var exceptionsFile = filepath.Join("testdata", "exceptions.tsv")

// exception lets one thing exceed one limit, for a reason.
type exception struct {
	size
	reason string
}

func readExceptions(tb testing.TB) []exception {
	tb.Helper()
	text, err := os.ReadFile(exceptionsFile)
	if err != nil {
		tb.Fatal(err)
	}
	var all []exception
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 4 {
			tb.Fatalf("%s: %q has %d columns, want limit, what, size and reason", exceptionsFile, line, len(cells))
		}
		value, err := strconv.Atoi(cells[2])
		if err != nil {
			tb.Fatalf("%s: %q: %v", exceptionsFile, line, err)
		}
		all = append(all, exception{size{cells[0], cells[1], value}, cells[3]})
	}
	return all
}

// checkExceptions compares what exceeds a limit with the exceptions. An
// exception may not be exceeded, and may not outlive its need.
func checkExceptions(t *testing.T, over []size) {
	t.Helper()
	listed := readExceptions(t)
	if *update {
		writeExceptions(t, over, listed)
		return
	}
	var faults []string
	for _, s := range over {
		switch i := slices.IndexFunc(listed, func(e exception) bool { return e.limit == s.limit && e.of == s.of }); {
		case i < 0:
			faults = append(faults, fmt.Sprintf("%s: %s is %d, want at most %d, or a reason in %s", s.of, s.limit, s.value, limits[s.limit], exceptionsFile))
		case s.value > listed[i].value:
			faults = append(faults, fmt.Sprintf("%s: %s is %d, and the exception allows %d", s.of, s.limit, s.value, listed[i].value))
		}
	}
	report(t, faults)
	for _, e := range listed {
		if !slices.ContainsFunc(over, func(s size) bool { return s.limit == e.limit && s.of == e.of }) {
			t.Errorf("%s: delete the exception for %s of %s: it is not needed", exceptionsFile, e.limit, e.of)
		}
		if e.reason == unexplained {
			t.Errorf("%s: %s of %s has no reason", exceptionsFile, e.limit, e.of)
		}
	}
}

func writeExceptions(t *testing.T, over []size, listed []exception) {
	t.Helper()
	var out strings.Builder
	out.WriteString("# What may exceed a limit: limit, what, size, reason. See exceptions_test.go.\n")
	for _, s := range over {
		reason := unexplained
		for _, e := range listed {
			if e.limit == s.limit && e.of == s.of {
				reason = e.reason
			}
		}
		fmt.Fprintf(&out, "%s\t%s\t%d\t%s\n", s.limit, s.of, s.value, reason)
	}
	if err := os.WriteFile(exceptionsFile, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
