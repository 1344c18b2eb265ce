package localpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/child"
	"windlass.dev/windlass/pkg/localpg/internal/filelock"
)

// ErrRunning means that a running server uses the data directory.
var ErrRunning = errors.New("a server is already running in this data directory")

const (
	superuser = "postgres"
	initLimit = time.Minute // seen: 0.6-2 s
)

// dataDir is a data directory, locked from openDataDir to close.
type dataDir struct {
	root string
	acct account
	lock *os.File
}

func (d *dataDir) cluster() string  { return filepath.Join(d.root, "pgdata") }
func (d *dataDir) unborn() string   { return filepath.Join(d.root, "pgdata.new") }
func (d *dataDir) password() string { return filepath.Join(d.root, "password") }
func (d *dataDir) log() string      { return filepath.Join(d.root, "postgres.log") }

// openDataDir creates the directory if absent, locks it, and changes its owner
// to the account that the server runs as. It refuses a directory with foreign
// files, because the change would take them from their owner.
func openDataDir(root string, acct account) (*dataDir, error) {
	if root == "" {
		return nil, errors.New("open data directory: no path is given")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", root, err)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return nil, fmt.Errorf("make parent of data directory: %w", err)
	}
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := acct.checkReach(root); err != nil {
		return nil, err
	}
	d := &dataDir{root: root, acct: acct}
	if err := d.refuseForeign(); err != nil {
		return nil, err
	}
	d.lock, err = filelock.TryLock(filepath.Join(root, "lock"))
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("open data directory %s: %w", root, ErrRunning)
	}
	if err != nil {
		return nil, err
	}
	if err := acct.own(root); err != nil {
		return nil, errors.Join(fmt.Errorf("give data directory to %s: %w", acct.name, err), d.close())
	}
	return d, nil
}

// close releases the lock.
func (d *dataDir) close() error { return filelock.Unlock(d.lock) }

func (d *dataDir) refuseForeign() error {
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	ours := []string{"pgdata", "pgdata.new", "password", "postgres.log", "lock"}
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) {
			return fmt.Errorf("data directory %s holds a foreign file %q; choose an empty or a new directory",
				d.root, e.Name())
		}
	}
	return nil
}

// ensureCluster runs initdb unless the cluster exists, and returns the
// superuser's password.
func (d *dataDir) ensureCluster(ctx context.Context, binDir string, syncFiles bool) (string, error) {
	if _, err := os.Stat(d.cluster()); err == nil {
		secret, err := os.ReadFile(d.password())
		if err != nil {
			return "", fmt.Errorf("read password of the cluster: %w", err)
		}
		return strings.TrimSpace(string(secret)), nil
	}
	if err := os.RemoveAll(d.unborn()); err != nil {
		return "", fmt.Errorf("remove half-made cluster: %w", err)
	}
	secret := rand.Text()
	if err := d.writePassword(secret); err != nil {
		return "", err
	}
	if err := d.initdb(ctx, binDir, syncFiles); err != nil {
		return "", err
	}
	if err := os.Rename(d.unborn(), d.cluster()); err != nil {
		return "", fmt.Errorf("put cluster in place: %w", err)
	}
	return secret, nil
}

func (d *dataDir) writePassword(secret string) error {
	if err := os.Remove(d.password()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old password: %w", err)
	}
	if err := os.WriteFile(d.password(), []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	if d.acct.name == "" {
		return nil
	}
	if err := os.Chown(d.password(), int(d.acct.uid), int(d.acct.gid)); err != nil {
		return fmt.Errorf("give password to %s: %w", d.acct.name, err)
	}
	return nil
}

func (d *dataDir) initdb(ctx context.Context, binDir string, syncFiles bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, initLimit, fmt.Errorf("not done after %s", initLimit))
	defer cancel()
	args := []string{
		"--pgdata=" + d.unborn(), "--username=" + superuser, "--pwfile=" + d.password(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if !syncFiles {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "initdb"), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	prepare(cmd, d.acct)
	// initdb has children of its own; without this a cancelled start would wait
	// for them.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = child.KillDelay
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("initdb %s: %w: %s", d.unborn(), err, child.LastLines(out.Bytes()))
	}
	return nil
}

// prepare sets what initdb and postgres share. The environment is fixed, so
// that a stray PGDATA or LC_MESSAGES does not reach them, and the account can
// enter the working directory.
func prepare(cmd *exec.Cmd, acct account) {
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = childAttr(acct)
}

// pidFile is what a server writes about itself: its process id in line 1, its
// state in line 8.
type pidFile struct {
	pid   int
	state string // starting, ready, stopping or standby
}

// readPIDFile returns the cluster's postmaster.pid; ok is false if absent.
func (d *dataDir) readPIDFile() (f pidFile, ok bool) {
	text, err := os.ReadFile(filepath.Join(d.cluster(), "postmaster.pid"))
	if err != nil {
		return pidFile{}, false
	}
	lines := strings.Split(string(text), "\n")
	f.pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, true
	}
	if len(lines) > 7 {
		f.state = strings.TrimSpace(lines[7])
	}
	return f, true
}

// ready reports whether the server accepts sessions.
func (f pidFile) ready() bool { return f.state == "ready" }

// leaving reports whether the server is stopping, which takes as long as its
// last checkpoint.
func (f pidFile) leaving() bool { return f.state == "stopping" && f.alive() }

// alive reports whether the process exists, also if another user owns it.
func (f pidFile) alive() bool {
	if f.pid <= 0 {
		return false
	}
	err := syscall.Kill(f.pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
