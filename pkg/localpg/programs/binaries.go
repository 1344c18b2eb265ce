package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Locate returns the bin directory for a server on cfg.DataDir, and
// downloads the programs if the machine has none. A data directory that exists
// gets the programs of its own major version: a server of another one refuses
// it. The error says what to install.
func Locate(ctx context.Context, cfg Config) (string, error) {
	return locate(ctx, cfg, installed, Fetch)
}

// fetcher is Fetch, or a test's.
type fetcher func(ctx context.Context, cfg Config, major string) (string, error)

func locate(ctx context.Context, cfg Config, in places, fetch fetcher) (string, error) {
	major := clusterMajor(cfg.DataDir)
	switch {
	case cfg.BinDir != "":
		return checkGivenDir(ctx, cfg, major)
	case major == "":
		if dirs := in.candidates(); len(dirs) > 0 {
			return dirs[0], nil
		}
	default:
		if dir, err := in.findMajor(ctx, major); err == nil {
			return dir, nil
		}
	}
	dir, err := fetch(ctx, cfg, major)
	if err != nil && ctx.Err() == nil {
		return "", &MissingError{Major: major, DataDir: cfg.DataDir, cause: err}
	}
	return dir, err
}

// checkGivenDir returns cfg.BinDir if its server can run the data directory.
func checkGivenDir(ctx context.Context, cfg Config, major string) (string, error) {
	dir, err := Find(cfg.BinDir)
	if errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf(
			"%w; --pg-bin (PG_BIN) is the directory that holds both, like /usr/lib/postgresql/18/bin", err,
		)
	}
	if err != nil || major == "" {
		return dir, err
	}
	if got, err := programMajor(ctx, dir); err == nil && got != major { // a server that does not say may be right
		return "", fmt.Errorf("the data folder %s was made by PostgreSQL %s and %s is PostgreSQL %s: "+
			"give the programs of PostgreSQL %s, or start with another --data", cfg.DataDir, major, dir, got, major)
	}
	return dir, nil
}

// clusterMajor reads the major version that made the cluster, such as "15";
// empty if there is no cluster, or if its version cannot be read.
func clusterMajor(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "pgdata", "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// MissingError says that the machine has no suitable Postgres and that none
// could be downloaded, and what to install. errors.Is matches ErrNotFound.
type MissingError struct {
	Major   string // the data directory's, empty for a new one
	DataDir string
	cause   error
}

func (e *MissingError) Error() string {
	if e.Major == "" {
		return fmt.Sprintf("PostgreSQL is not installed and could not be downloaded (%v). "+
			"Install it (apt install postgresql; brew install postgresql), "+
			"or give the directory of its programs by --pg-bin", e.cause)
	}
	return fmt.Sprintf("the data folder %s was made by PostgreSQL %s, "+
		"which is not installed and could not be downloaded (%v). "+
		"Install it (apt install postgresql-%s; brew install postgresql@%s), "+
		"give the directory of its programs by --pg-bin, or start with another --data",
		e.DataDir, e.Major, e.cause, e.Major, e.Major)
}

// Unwrap returns ErrNotFound and the errors of the download.
func (e *MissingError) Unwrap() []error { return []error{ErrNotFound, e.cause} }

// errNoDownload says that no source has binaries of a version and platform.
var errNoDownload = errors.New("no download is known")
