package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// avoided are phrases that readers have to decode, with what to write instead.
var avoided = []struct{ pattern, instead string }{
	{`\bwho(so)?ever\b|\bwhom\b`, "name the actor"},
	{`\b(is|are|was|were) none\b|where there (is|are) none`, "absent, if absent"},
	{`\b(is|are|was|were|be|been|gets?) (re)?told\b|\bretold\b`, "use the active voice"},
	{`\btells? whether\b`, "reports whether"},
	{`\bnobody\b|\bis (no|any)one's\b`, "name the actor, or use no with a noun"},
	{`\b(can(not)?|could|to) be had\b|\bis had\b`, "is available, exists"},
	{`\banew\b|\bcomes? again\b`, "again, is repeated"},
	{`\bforgiven\b`, "cleared, refunded"},
	{`\bas it stands\b`, "unchanged"},
	{`\bof which nothing\b`, "without"},
	{`\blet pass\b`, "accept"},
	{`\b(for|by|to|of) who\b`, "name the actor"},
	{`, for (it|they|this|that|there|who|clients|SDKs|agents|what)\b`, "because"},
	{`\bbut for (the|what|its|a|one|those)\b`, "except"},
	{`\bin (its|their) stead\b`, "instead"},
	{`\bthereof\b|\bthereby\b|\bwhereof\b`, "name the thing"},
	{`\bgoes? without\b`, "has no"},
	{`\bholds good\b`, "applies"},
	{`\bso is (a|the)\b`, "write the sentence out"},
}

var avoidedPhrases = func() *regexp.Regexp {
	var all []string
	for _, a := range avoided {
		all = append(all, a.pattern)
	}
	return regexp.MustCompile(`(?i)` + spaced(strings.Join(all, "|")))
}()

// spaced lets a space of a pattern match the end of a line.
func spaced(pattern string) string { return strings.ReplaceAll(pattern, " ", `\s+`) }

// prose is a piece of text that people read.
type prose struct {
	file string
	line int
	text string
}

// TestWords finds avoided phrases in comments, documents, log messages, error
// texts and help texts.
func TestWords(t *testing.T) {
	t.Parallel()
	var faults []string
	for _, p := range append(goProse(t), otherProse(t)...) {
		if slices.Contains(quotes, p.file) {
			continue
		}
		for _, at := range avoidedPhrases.FindAllStringIndex(p.text, -1) {
			line := p.line + strings.Count(p.text[:at[0]], "\n")
			phrase := p.text[at[0]:at[1]]
			faults = append(faults, fmt.Sprintf("%s:%d: %q: write: %s", p.file, line, phrase, insteadOf(phrase)))
		}
	}
	report(t, faults)
}

// quotes are files that quote the phrases.
var quotes = []string{"services/test/rules/words_test.go"}

func insteadOf(phrase string) string {
	for _, a := range avoided {
		if regexp.MustCompile(`(?i)^(` + spaced(a.pattern) + `)$`).MatchString(phrase) {
			return a.instead
		}
	}
	return "something plain"
}

// goComments returns the comments of all Go files.
func goComments(tb testing.TB) []prose {
	tb.Helper()
	var all []prose
	for _, f := range goFiles(tb) {
		for _, group := range f.ast.Comments {
			var text strings.Builder
			for _, c := range group.List {
				text.WriteString(strings.TrimPrefix(c.Text, "//") + "\n")
			}
			all = append(all, prose{f.path, f.line(group.Pos()), text.String()})
		}
	}
	return all
}

// goProse returns comments, and the texts of errors, log lines, helps and test
// failures.
func goProse(tb testing.TB) []prose {
	tb.Helper()
	all := goComments(tb)
	for _, f := range goFiles(tb) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if saysSomething(n) {
					all = append(all, f.literals(n.Args)...)
				}
			case *ast.Field:
				if n.Tag != nil {
					all = append(all, f.literals([]ast.Expr{n.Tag})...)
				}
			}
			return true
		})
	}
	return all
}

var sayingCalls = regexp.MustCompile(`^(Errorf?|Fatalf?|Logf?|Skipf?|New|Debug|Info|Warn|Printf|Fprintf?|Fprintln)$`)

func saysSomething(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sayingCalls.MatchString(s.Sel.Name)
}

func (f goFile) literals(args []ast.Expr) []prose {
	var all []prose
	for _, arg := range args {
		ast.Inspect(arg, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					all = append(all, prose{f.path, f.line(lit.Pos()), text})
				}
			}
			return true
		})
	}
	return all
}

var inlineCode = regexp.MustCompile("`[^`\n]*`")

// otherProse returns documents, comments of .proto files, and the comments of
// scripts and configuration.
func otherProse(tb testing.TB) []prose {
	tb.Helper()
	paths, err := listFiles(func(p string) bool {
		return slices.Contains([]string{".md", ".proto", ".yml", ".yaml", ".py", ".mjs"}, path.Ext(p)) || p == ".ci/run"
	})
	if err != nil {
		tb.Fatal(err)
	}
	var all []prose
	for _, p := range paths {
		text := readFile(tb, p)
		if path.Ext(p) == ".md" {
			text = inlineCode.ReplaceAllString(text, "")
		}
		all = append(all, prose{p, 1, text})
	}
	return all
}
