package notices

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/licensecheck"
)

var update = flag.Bool("update", false, "write the file")

const (
	root = "../../.."
	file = root + "/THIRD_PARTY_NOTICES.txt"
	// covered is the part of a licence's text that must be of known licences.
	covered = 75 // percent
	rule    = "================================================================================\n"
)

// allowed are the licences, by their SPDX names, that linked code may have.
var allowed = []string{
	"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0",
	"PostgreSQL", "Unlicense", "Zlib",
	"GooglePatentsFile", "GooglePatentClause", // beside BSD-3-Clause, in golang.org/x
	"Zlib-acknowledgement",
}

// publicDomain is in texts that give a work to the public domain, each in its
// own words, so that licensecheck does not know them.
var publicDomain = regexp.MustCompile(`All these files have been put\s+into the public domain\.`)

// module is a module of which packages are linked.
type module struct {
	Path, Version, Dir string
	Main               bool
	texts              map[string]string // by file, relative to Dir
}

// linked lists the modules of all binaries, for the platform of the images.
func linked(tb testing.TB) []*module {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "go", "list", "-deps", "-json=Dir,Module,Standard", "./services/cmd/...")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("list the packages: %v", err)
	}
	all := map[string]*module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir      string
			Module   *module
			Standard bool
		}
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if p.Standard || p.Module.Main {
			continue
		}
		m := all[p.Module.Path]
		if m == nil {
			m = p.Module
			m.texts = map[string]string{}
			all[m.Path] = m
		}
		// The licence of a package may be in a folder between it and its
		// module.
		for dir := p.Dir; strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
			m.read(tb, dir)
		}
	}
	var sorted []*module
	for _, m := range all {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return sorted
}

var isLegal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)(\.(md|txt|rst))?$`)

// read reads the licences and notices of a folder.
func (m *module) read(tb testing.TB, dir string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || !isLegal.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		name, err := filepath.Rel(m.Dir, filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		m.texts[filepath.ToSlash(name)] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

// licences names the licences of a module, and what is wrong with them.
func (m *module) licences() (names []string, faults []string) {
	for name, text := range m.texts {
		if strings.HasPrefix(strings.ToLower(filepath.Base(name)), "notice") {
			continue
		}
		if publicDomain.MatchString(text) {
			names = append(names, "PublicDomain")
			continue
		}
		found := licensecheck.Scan([]byte(text))
		if found.Percent < covered {
			faults = append(faults, fmt.Sprintf("%s %s: %.0f%% of it is of known licences", m.Path, name, found.Percent))
		}
		for _, match := range found.Match {
			if !slices.Contains(names, match.ID) {
				names = append(names, match.ID)
			}
			if !slices.Contains(allowed, match.ID) {
				faults = append(faults, fmt.Sprintf("%s %s: licence %s is not allowed", m.Path, name, match.ID))
			}
		}
	}
	if len(names) == 0 {
		faults = append(faults, m.Path+" has no licence")
	}
	slices.Sort(names)
	slices.Sort(faults)
	return names, faults
}

// write writes the whole file.
func write(modules []*module) string {
	var b strings.Builder
	b.WriteString("Third-party notices\n\n" +
		"Windlass's binaries contain these Go modules, and Go's standard library, whose licence is that of golang.org/x/sys.\n" +
		"Written by: go test ./services/test/notices -update\n\n")
	for _, m := range modules {
		names, _ := m.licences()
		fmt.Fprintf(&b, "%s %s: %s\n", m.Path, m.Version, strings.Join(names, ", "))
	}
	for _, m := range modules {
		names := make([]string, 0, len(m.texts))
		for name := range m.texts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "\n%s%s %s: %s\n%s\n%s\n", rule, m.Path, m.Version, name, rule, strings.TrimSpace(m.texts[name]))
		}
	}
	return b.String()
}

// TestNotices holds that the file is what the linked modules say, and that each
// of them has an allowed licence.
func TestNotices(t *testing.T) {
	t.Parallel()
	modules := linked(t)
	if len(modules) < 20 {
		t.Fatalf("%d modules are linked, which cannot be all", len(modules))
	}
	for _, m := range modules {
		_, faults := m.licences()
		for _, f := range faults {
			t.Error(f)
		}
	}
	want := write(modules)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s is not current: go test ./services/test/notices -update\n%.2000s", filepath.Base(file), diff)
	}
}

// TestALicenceThatIsNotAllowedFails holds that the test above can fail.
func TestALicenceThatIsNotAllowedFails(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"is not allowed":       "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.",
		"is of known licences": "You may use this on Mondays.",
	} {
		m := &module{Path: "example.com/m", texts: map[string]string{"LICENSE": text}}
		if _, faults := m.licences(); len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), name) {
			t.Errorf("faults of %q are %v, want one that says %q", text, faults, name)
		}
	}
	if _, faults := (&module{Path: "example.com/m"}).licences(); len(faults) == 0 {
		t.Error("a module without a licence has no faults")
	}
}
