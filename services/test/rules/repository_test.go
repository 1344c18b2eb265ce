package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the repository, relative to this package.
var root = filepath.Join("..", "..", "..")

// goFile is a parsed Go file of the repository, without generated ones.
type goFile struct {
	path  string // relative to the repository, with slashes
	test  bool
	lines []string
	set   *token.FileSet
	ast   *ast.File
}

func (f goFile) dir() string { return path.Dir(f.path) }

// line returns the line of a position.
func (f goFile) line(p token.Pos) int { return f.set.Position(p).Line }

// listFiles returns the paths of files that keep accepts, relative to the
// repository, without hidden directories, test data and installed packages.
// Hidden files at the root and below .ci are included.
func listFiles(keep func(path string) bool) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		name := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(name, ".") && rel != "." && rel != ".ci"
			if hidden || name == "testdata" || name == "node_modules" || rel == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if keep(rel) {
			found = append(found, rel)
		}
		return nil
	})
	return found, err
}

func readFile(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

var parseAll = sync.OnceValues(func() ([]goFile, error) {
	paths, err := listFiles(func(p string) bool { return strings.HasSuffix(p, ".go") })
	if err != nil {
		return nil, err
	}
	var files []goFile
	for _, p := range paths {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(file) {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		files = append(files, goFile{p, strings.HasSuffix(p, "_test.go"), lines, set, file})
	}
	return files, nil
})

// goFiles returns all Go files of the repository, in the order of their paths.
func goFiles(tb testing.TB) []goFile {
	tb.Helper()
	files, err := parseAll()
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) < 100 {
		tb.Fatalf("found %d Go files in %s, want at least 100", len(files), root)
	}
	return files
}

// goPackage is the files of one directory.
type goPackage struct {
	dir          string
	files, tests []goFile
}

// goPackages returns all packages in the order of their paths.
func goPackages(tb testing.TB) []goPackage {
	tb.Helper()
	all := map[string]*goPackage{}
	for _, f := range goFiles(tb) {
		p := all[f.dir()]
		if p == nil {
			p = &goPackage{dir: f.dir()}
			all[f.dir()] = p
		}
		if f.test {
			p.tests = append(p.tests, f)
		} else {
			p.files = append(p.files, f)
		}
	}
	sorted := make([]goPackage, 0, len(all))
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, *all[dir])
	}
	return sorted
}

// doc returns the package's comment.
func (p goPackage) doc() string {
	for _, f := range p.files {
		if f.ast.Doc != nil {
			return f.ast.Doc.Text()
		}
	}
	return ""
}

// exported returns the exported top-level names. Constants of one block count
// once, under the name of the first. Methods do not count.
func (p goPackage) exported() []string {
	var names []string
	for _, f := range p.files {
		for _, decl := range f.ast.Decls {
			names = append(names, exportedNames(decl)...)
		}
	}
	return names
}

func exportedNames(decl ast.Decl) []string {
	var names []string
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.IsExported() {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
		}
		if d.Tok == token.CONST && len(names) > 1 {
			names = names[:1]
		}
	}
	return names
}

// function is a function or method that has a body.
type function struct {
	name  string // with the receiver: (*Server).Run
	lines int
	file  goFile
	decl  *ast.FuncDecl
}

// functions returns the functions of a file.
func (f goFile) functions() []function {
	var all []function
	for _, decl := range f.ast.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && d.Body != nil {
			all = append(all, function{qualifiedName(d), f.line(d.End()) - f.line(d.Pos()) + 1, f, d})
		}
	}
	return all
}

func qualifiedName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	receiver, star := d.Recv.List[0].Type, ""
	if s, ok := receiver.(*ast.StarExpr); ok {
		receiver, star = s.X, "*"
	}
	switch g := receiver.(type) {
	case *ast.IndexExpr:
		receiver = g.X
	case *ast.IndexListExpr:
		receiver = g.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return "(" + star + name.Name + ")." + d.Name.Name
	}
	return d.Name.Name
}
