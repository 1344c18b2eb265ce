package registry

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// rows are the cells of the table below a heading of docs/models.md, without
// the table's head.
func rows(tb testing.TB, heading string) [][]string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "models.md"))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		tb.Fatalf("docs/models.md has no %q", heading)
	}
	var all [][]string
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "## ") {
			break
		}
		if cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|"), "|"); len(cells) > 1 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	if len(all) < 3 {
		tb.Fatalf("docs/models.md has no table below %q", heading)
	}
	return all[2:]
}

var code = regexp.MustCompile("`([^`]*)`")

func codes(cell string) []string {
	var all []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// values are the settings that are set, by their names in YAML.
func values(s Settings) map[string]string {
	all := map[string]string{}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); !v.Field(i).IsZero() {
			all[name] = fmt.Sprint(v.Field(i).Interface())
		}
	}
	return all
}

// Each setting has a row with its default, and each value that the row names is
// accepted while others are not.
func TestTheDocumentHasEverySetting(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range reflect.TypeFor[Settings]().NumField() {
		names = append(names, reflect.TypeFor[Settings]().Field(i).Tag.Get("yaml"))
	}
	standard := values(defaults)
	var documented []string
	for _, row := range rows(t, "Settings") {
		if len(row) != 5 {
			t.Fatalf("the row %q has %d cells, want 5", row, len(row))
		}
		name := codes(row[0])[0]
		documented = append(documented, name)
		if name != "profile" && standard[name] != cmp.Or(append(codes(row[2]), "")...) {
			t.Errorf("the default of %s is %q, documented as %s", name, standard[name], row[2])
		}
		if row[4] == "" && name != "profile" {
			t.Errorf("no server needs %s", name)
		}
		for _, value := range codes(row[1]) {
			if err := parseSetting(name, value); err != nil {
				t.Errorf("%s: %s is refused: %v", name, value, err)
			}
		}
		if len(codes(row[1])) > 0 && parseSetting(name, "other") == nil {
			t.Errorf("%s: other is accepted", name)
		}
	}
	if diff := gocmp.Diff(names, documented, sortedTexts); diff != "" {
		t.Errorf("the settings of the code and of the document (-code +document):\n%s", diff)
	}
}

var sortedTexts = gocmp.Transformer("sorted", func(s []string) []string { return slices.Sorted(slices.Values(s)) })

func parseSetting(name, value string) error {
	_, err := Parse("f", []byte("models:\n  - name: m\n    upstream: {url: http://h, "+name+": "+value+"}\n"))
	return err
}

// Each profile has a row with what it sets and the hosts for which it is
// chosen.
func TestTheDocumentHasEveryProfile(t *testing.T) {
	t.Parallel()
	var documented []string
	hosted := map[string]string{}
	for _, row := range rows(t, "Profiles") {
		name := codes(row[0])[0]
		documented = append(documented, name)
		sets := map[string]string{}
		for _, one := range codes(row[2]) {
			setting, value, _ := strings.Cut(one, ": ")
			sets[setting] = value
		}
		if diff := gocmp.Diff(values(profiles[name]), sets); diff != "" {
			t.Errorf("profile %s (-code +document):\n%s", name, diff)
		}
		for _, host := range codes(row[1]) {
			hosted[strings.TrimPrefix(host, "*")] = name
		}
	}
	if diff := gocmp.Diff(Profiles(), documented, sortedTexts); diff != "" {
		t.Errorf("the profiles of the code and of the document (-code +document):\n%s", diff)
	}
	want := map[string]string{}
	for _, h := range hosts {
		if h.host != ".api.openai.com" { // in words
			want[h.host] = h.profile
		}
	}
	if diff := gocmp.Diff(want, hosted); diff != "" {
		t.Errorf("hosts (-code +document):\n%s", diff)
	}
}

func TestTheDocumentHasWhatABodyCannotSet(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(b), "`body` cannot set ")
	line, _, _ = strings.Cut(line, "\n")
	if diff := gocmp.Diff(reservedMembers, codes(line), sortedTexts); diff != "" {
		t.Errorf("(-code +document):\n%s", diff)
	}
	for _, name := range reservedMembers {
		if parseSetting("body", "{"+name+": 1}") == nil {
			t.Errorf("body can set %s", name)
		}
	}
}

// The registry in the document is one.
func TestTheDocumentsRegistry(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	r, err := Parse("docs/models.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := r.Model("any/name/at/all")
	s := m.Upstream.Effective()
	if s.Profile != LlamaCpp || s.EmptyContent != ContentNull || s.DeveloperRole != RoleMerge || s.Headers["X-Team"] != "search" {
		t.Errorf("the settings of * are %+v", s)
	}
	if got := slices.Collect(maps.Keys(s.Headers)); len(got) != 1 || string(s.Body) != `{"chat_template_kwargs":{"enable_thinking":false}}` {
		t.Errorf("headers %v and body %s", got, s.Body)
	}
	if large, _ := r.Model("large"); large.Upstream.Effective().Profile != Mistral {
		t.Errorf("the profile of large is %s", large.Upstream.Effective().Profile)
	}
}
