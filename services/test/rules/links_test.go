package rules

import (
	"go/ast"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	markdownLink  = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)
	fencedCode    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	heading       = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	droppedInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	codeSpan      = regexp.MustCompile("`([^`\n]+)`")
	pathSpan      = regexp.MustCompile(`^(pkg|services|proto|docs|tools|\.ci)/[\w./-]*$`)
)

func documentPaths(tb testing.TB) []string {
	tb.Helper()
	paths, err := listFiles(func(p string) bool { return path.Ext(p) == ".md" })
	if err != nil {
		tb.Fatal(err)
	}
	return paths
}

// TestLinks follows each link between documents: the file exists, and has the
// heading. A link whose text is `name` and whose target is a Go file wants the
// name to be declared there. A code span that is a path names a file or
// directory.
func TestLinks(t *testing.T) {
	t.Parallel()
	count := 0
	for _, doc := range documentPaths(t) {
		text := fencedCode.ReplaceAllString(readFile(t, doc), "")
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			if target, err := url.Parse(m[2]); err != nil {
				t.Errorf("%s: %v", doc, err)
			} else if target.Scheme == "" {
				count++
				followLink(t, doc, m[1], target)
			}
		}
		for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
			if pathSpan.MatchString(m[1]) && !strings.HasSuffix(m[1], "/...") {
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s names %s, which does not exist", doc, m[1])
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("the documents have %d links between them, want at least 10", count)
	}
}

func followLink(t *testing.T, doc, text string, target *url.URL) {
	t.Helper()
	file := path.Join(path.Dir(doc), target.Path)
	if target.Path == "" {
		file = doc
	}
	info, err := os.Stat(filepath.Join(root, file))
	if err != nil {
		t.Errorf("%s: the link %s leads to no file", doc, target)
		return
	}
	if target.Fragment != "" && (info.IsDir() || !hasHeading(readFile(t, file), target.Fragment)) {
		t.Errorf("%s: %s has no heading for the link %s", doc, file, target)
	}
	name := strings.TrimSuffix(strings.Trim(text, "`"), "()")
	if strings.HasPrefix(text, "`") && path.Ext(file) == ".go" && !declares(t, file, name) {
		t.Errorf("%s: %s does not declare %s", doc, file, name)
	}
}

// hasHeading reports whether a document has a heading with that anchor, as
// GitHub builds it.
func hasHeading(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(fencedCode.ReplaceAllString(text, ""), -1) {
		slug := droppedInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// declares reports whether a Go file has a top-level declaration or a method
// of that name, which may stand behind its package or receiver: store.Accept.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	name = name[strings.LastIndexByte(name, '.')+1:]
	for _, f := range goFiles(t) {
		if f.path != file {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == name {
					return true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if specDeclares(spec, name) {
						return true
					}
				}
			}
		}
	}
	return false
}

func specDeclares(spec ast.Spec, name string) bool {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Name.Name == name
	case *ast.ValueSpec:
		for _, ident := range s.Names {
			if ident.Name == name {
				return true
			}
		}
	}
	return false
}

var namedTest = regexp.MustCompile(`\b(Test|Benchmark|Fuzz)[A-Z]\w+…?`)

// TestTestsExist finds tests that comments and documents name and that are not
// there. A name that ends in … stands for all tests that start with it.
func TestTestsExist(t *testing.T) {
	t.Parallel()
	var names []string
	exact := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, fn := range f.functions() {
			names = append(names, fn.name)
			exact[fn.name] = true
		}
	}
	exists := func(name string) bool {
		start, isPrefix := strings.CutSuffix(name, "…")
		if !isPrefix {
			return exact[name] || name == "TestMain"
		}
		for _, n := range names {
			if strings.HasPrefix(n, start) {
				return true
			}
		}
		return false
	}
	for _, p := range append(goComments(t), otherProse(t)...) {
		for _, name := range namedTest.FindAllString(p.text, -1) {
			if !exists(name) {
				t.Errorf("%s:%d names %s, which does not exist", p.file, p.line, name)
			}
		}
	}
}
