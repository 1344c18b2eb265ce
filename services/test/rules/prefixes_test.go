package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"testing"
)

// prefixOwner is the only package that spells the prefixes of ids.
const prefixOwner = "pkg/run"

// spelledPrefix matches a string that is the prefix of an id, or starts an id.
var spelledPrefix = regexp.MustCompile(`^(resp|conv|wl|msg|fc|fco|ctc|ctco|rs|mcpl|cmp)_($|%|\d)|^(fc|fco|ctc|ctco|rs|mcpl|cmp)$`)

// prefixesOfOthers are the packages that spell the prefixes of somebody else's
// ids, or what only looks like a prefix.
var prefixesOfOthers = map[string]string{
	"services/mock/internal/model": "the ids of an upstream are its own",
}

// TestPrefixes finds string literals outside pkg/run that start an id. Tests
// spell ids as clients see them.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	var faults []string
	needed := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test || below(f.path, prefixOwner) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if _, imported := n.(*ast.ImportSpec); imported { // cmp is a package, too
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && spelledPrefix.MatchString(text) {
				if _, allowed := prefixesOfOthers[f.dir()]; !allowed {
					faults = append(faults, fmt.Sprintf("%s:%d: %s: build and read ids with %s", f.path, f.line(lit.Pos()), lit.Value, prefixOwner))
				}
				needed[f.dir()] = true
			}
			return true
		})
	}
	report(t, faults)
	for dir := range prefixesOfOthers {
		if !needed[dir] {
			t.Errorf("delete %s from prefixesOfOthers: it spells no prefix", dir)
		}
	}
}
