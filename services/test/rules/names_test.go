package rules

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Names of functions are a verb and a noun. These words alone do not say what
// a function does.
var bareNames = regexp.MustCompile(`^(?i)(re)?(told|asked|left|think|thought|within|took|taken|said|spoken|spoke|heard|hear|seen|gone|given|` +
	`begun|kept|lost|spent|forgiven|tried|shown|held|made|beyond|apart|tell|among|worded|living)$`)

// TestNames finds functions whose names are a bare participle or the like.
func TestNames(t *testing.T) {
	t.Parallel()
	var faults []string
	for _, f := range goFiles(t) {
		for _, fn := range f.functions() {
			if bareNames.MatchString(fn.decl.Name.Name) {
				faults = append(faults, fmt.Sprintf("%s:%d: name %s with a verb and a noun", f.path, f.line(fn.decl.Pos()), fn.name))
			}
		}
	}
	report(t, faults)
}

// TestPackagesAreNamedByWhatTheyHold refuses packages that hold anything.
func TestPackagesAreNamedByWhatTheyHold(t *testing.T) {
	t.Parallel()
	for _, p := range goPackages(t) {
		switch name := p.dir[strings.LastIndexByte(p.dir, '/')+1:]; name {
		case "util", "utils", "common", "types", "models", "helpers", "misc", "shared":
			t.Errorf("%s: %s is no name for a package: name what it holds", p.dir, name)
		}
	}
}

// TestPackagesAreDocumented wants a comment on each package that has more than
// tests, and one only.
func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range goPackages(t) {
		count := 0
		for _, f := range p.files {
			if f.ast.Doc != nil {
				count++
			}
		}
		if len(p.files) > 0 && count != 1 {
			t.Errorf("%s: %d files have a comment on the package, want 1", p.dir, count)
		}
	}
}
