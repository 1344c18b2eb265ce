// Package datafolder is the folder in which `windlass dev` keeps everything:
// the files of Postgres and NATS, its secrets, and what the other commands read
// to find a running dev (database.url, key.pepper, names.json).
package datafolder

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The files that other commands and people read, too.
const (
	DatabaseURL = "database.url"
	KeyPepper   = "key.pepper"
	apiKey      = "api.key"
)

// Folder is an absolute path.
type Folder string

// Make makes the folder unless it exists.
func Make(path string) (Folder, error) {
	folder, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the data directory (choose another with --data): %w", err)
	}
	return Folder(folder), nil
}

// Path returns the path of a file in the folder.
func (f Folder) Path(name string) string { return filepath.Join(string(f), name) }

// Lock makes this process the only dev on the folder, until the file is closed
// or the process ends. Two NATS servers would destroy each other's files.
func (f Folder) Lock() (*os.File, error) {
	path := f.Path("lock")
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(lock, 20))
		_ = lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, fmt.Errorf(
			"another windlass dev (process %s) uses the data folder %s: stop it, or start with another --data",
			strings.TrimSpace(string(holder)), f)
	}
	if err := writePID(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), lock.Close())
	}
	return lock, nil
}

func writePID(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// Secret returns the named secret. The first call makes it.
func (f Folder) Secret(name string) (string, error) {
	if b, err := os.ReadFile(f.Path(name)); err == nil && len(b) > 0 {
		return string(b), nil
	}
	value := rand.Text() + rand.Text()
	return value, f.Write(name, value)
}

// APIKey returns the key of dev's clients. The first call makes it.
func (f Folder) APIKey() (string, error) {
	if b, err := os.ReadFile(f.Path(apiKey)); err == nil && len(bytes.TrimSpace(b)) > 0 {
		return string(bytes.TrimSpace(b)), nil
	}
	key := "wl-dev-" + strings.ToLower(rand.Text())
	return key, f.Write(apiKey, key)
}

// Write writes a file that only the folder's owner may read.
func (f Folder) Write(name, value string) error {
	if err := os.WriteFile(f.Path(name), []byte(value), 0o600); err != nil {
		return fmt.Errorf("write %s of the data folder: %w", name, err)
	}
	return nil
}
