package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTree prints the tree, for people: for each package its files, exported
// names and first sentence, and the sizes of files and functions.
//
//	go test ./services/test/rules -run TestTree -v
func TestTree(t *testing.T) {
	t.Parallel()
	above := ""
	var files, functions []int
	for _, p := range goPackages(t) {
		if len(p.files) == 0 {
			continue
		}
		elements := strings.Split(p.dir, "/")
		if top := strings.Join(elements[:min(2, len(elements))], "/"); top != above {
			above = top
			fmt.Fprintf(t.Output(), "%s/\n", top)
		}
		fmt.Fprintf(t.Output(), "  %-48s %2d files %2d exported  %s\n", p.dir, len(p.files), len(p.exported()), p.summary())
		for _, f := range p.files {
			files = append(files, len(f.lines))
			for _, fn := range f.functions() {
				functions = append(functions, fn.lines)
			}
		}
	}
	fmt.Fprintf(t.Output(), "%d files: median %d lines, 90th percentile %d, longest %d\n", len(files),
		percentile(files, 50), percentile(files, 90), slices.Max(files))
	fmt.Fprintf(t.Output(), "%d functions: median %d lines, 90th percentile %d, longest %d\n", len(functions),
		percentile(functions, 50), percentile(functions, 90), slices.Max(functions))
}

// summary returns the first sentence of the package's comment, without the
// name of the package.
func (p goPackage) summary() string {
	text := strings.Join(strings.Fields(p.doc()), " ")
	if end := strings.Index(text, ". "); end >= 0 {
		text = text[:end+1]
	}
	text = strings.TrimPrefix(text, "Package ")
	_, text, _ = strings.Cut(text, " ")
	return text
}

// percentile returns the smallest value that p percent of the values do not
// exceed.
func percentile(values []int, p int) int {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, (len(sorted)*p+99)/100-1)]
}
