package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotFound says that no directory with both postgres and initdb was found.
var ErrNotFound = errors.New("no postgres and initdb found")

// Find returns the bin directory of a Postgres installation: binDir if it is given, otherwise the newest below
// /usr/lib/postgresql, then Homebrew's, then the one PATH leads to (symlinks resolved). A given binDir is never replaced
// by another one: if it has no server the answer is ErrNotFound.
func Find(binDir string) (string, error) {
	if binDir != "" {
		dir, err := filepath.Abs(binDir)
		if err != nil {
			return "", fmt.Errorf("find postgres in %s: %w", binDir, err)
		}
		if !complete(dir) {
			return "", fmt.Errorf("find postgres in %s: %w", dir, ErrNotFound)
		}
		return dir, nil
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/opt/homebrew/opt/postgresql/bin",
		"/usr/local/opt/postgresql/bin",
	} {
		if dir := newest(pattern); dir != "" {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if dir := filepath.Dir(real); filepath.IsAbs(dir) && complete(dir) {
				return dir, nil
			}
		}
	}
	return "", ErrNotFound
}

// newest returns the complete match of pattern with the highest version number, "" if there is none.
func newest(pattern string) string {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return ""
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !complete(dir) })
	if len(dirs) == 0 {
		return ""
	}
	return slices.MaxFunc(dirs, func(a, b string) int {
		return slices.Compare(version(a), version(b))
	})
}

// version reads the version out of a directory such as …/postgresql/15/bin or …/postgresql@17/bin.
func version(binDir string) []int {
	name := filepath.Base(filepath.Dir(binDir))
	if _, after, ok := strings.Cut(name, "@"); ok {
		name = after
	}
	var parts []int
	for part := range strings.SplitSeq(name, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		parts = append(parts, n)
	}
	return parts
}

// complete reports whether dir holds the two programs a server is made of.
func complete(dir string) bool {
	for _, name := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}
