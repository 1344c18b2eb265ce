package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/child"
)

// ErrNotFound says that no directory with both postgres and initdb was found.
var ErrNotFound = errors.New("no postgres and initdb found")

// places are where installations are looked for.
type places struct {
	patterns []string
	lookPath func(program string) (string, error)
}

// installed are the places where distributions and Homebrew put Postgres.
var installed = places{patterns: []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/opt/homebrew/opt/postgresql/bin",
	"/usr/local/opt/postgresql/bin",
}, lookPath: exec.LookPath}

// Find returns the bin directory of a Postgres installation: binDir if it is
// given, otherwise the newest below /usr/lib/postgresql, then Red Hat's and
// Homebrew's, then the one PATH leads to (symlinks resolved). A given binDir is
// never replaced by another one: if it has no server the error is ErrNotFound.
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
	if dirs := installed.candidates(); len(dirs) > 0 {
		return dirs[0], nil
	}
	return "", ErrNotFound
}

// findMajor returns the first installation of one major version.
func (p places) findMajor(ctx context.Context, major string) (string, error) {
	for _, dir := range p.candidates() {
		if got, err := programMajor(ctx, dir); err == nil && got == major {
			return dir, nil
		}
	}
	return "", ErrNotFound
}

// candidates returns the installations that match the patterns, in the order of
// the patterns and newest first, and then the one PATH leads to.
func (p places) candidates() (found []string) {
	for _, pattern := range p.patterns {
		found = append(found, newestFirst(pattern)...)
	}
	if path, err := p.lookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if dir := filepath.Dir(real); filepath.IsAbs(dir) && complete(dir) && !slices.Contains(found, dir) {
				found = append(found, dir)
			}
		}
	}
	return found
}

// newestFirst returns the complete matches of pattern by version number.
func newestFirst(pattern string) []string {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !complete(dir) })
	slices.SortFunc(dirs, func(a, b string) int { return slices.Compare(version(b), version(a)) })
	return dirs
}

// version reads the version out of a directory such as …/postgresql/15/bin,
// …/pgsql-15/bin or …/postgresql@17/bin.
func version(binDir string) []int {
	name := filepath.Base(filepath.Dir(binDir))
	if i := strings.LastIndexAny(name, "@-"); i >= 0 {
		name = name[i+1:]
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

// versionLimit bounds `postgres --version`, which takes milliseconds.
const versionLimit = 10 * time.Second

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// programMajor asks the server program for its major version: "18", or "9.6"
// before Postgres 10.
func programMajor(ctx context.Context, binDir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "postgres"), "--version")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.WaitDelay = child.KillDelay
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s --version: %w: %s", cmd.Path, err, child.LastLines(out))
	}
	m := versionText.FindStringSubmatch(string(out))
	if m == nil {
		return "", fmt.Errorf("%s --version says %q, which is no PostgreSQL version", cmd.Path, child.LastLines(out))
	}
	if n, err := strconv.Atoi(m[1]); err == nil && n < 10 {
		return m[1] + "." + m[2], nil
	}
	return m[1], nil
}
