package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user the server runs as. The zero account means the current
// one.
type account struct {
	name     string
	uid, gid uint32
}

// serverUsers may run the server for root, best first.
var serverUsers = []string{"postgres", "nobody"}

// serverAccount picks an unprivileged account if the current user is root:
// Postgres refuses to run as root.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range serverUsers {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("read uid of %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("read gid of %s: %w", name, err)
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, fmt.Errorf("postgres does not run as root; create one of the users %v", serverUsers)
}

// credential is nil for the current user; otherwise it also drops root's
// supplementary groups.
func (a account) credential() *syscall.Credential {
	if a.name == "" {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// ErrOutOfReach means that a path is below a directory that the account of
// Postgres may not enter.
var ErrOutOfReach = errors.New("out of reach")

// checkReach fails with ErrOutOfReach if the account may not enter one of the
// directories above path. Without this check the server dies of "permission
// denied" on a path that root can read.
func (a account) checkReach(path string) error {
	if a.name == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", path, err)
	}
	dir := string(filepath.Separator)
	for part := range strings.SplitSeq(strings.Trim(filepath.Dir(real), dir), "/") {
		dir = filepath.Join(dir, part)
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("%s is %w: for root, postgres runs as %s, which cannot enter %s (mode %04o); "+
				"choose a place outside it",
				path, ErrOutOfReach, a.name, dir, info.Mode().Perm())
		}
	}
	return nil
}

func (a account) mayEnter(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch {
	case st.Uid == a.uid:
		return info.Mode()&0o100 != 0
	case st.Gid == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// own changes the owner of dir and everything below it to the account, unless
// the account owns dir.
func (a account) own(dir string) error {
	if a.name == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == a.uid {
		return nil
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
	// The top comes last, so that a walk that was cut short is taken up again
	// by the next start.
	return errors.Join(err, os.Lchown(dir, int(a.uid), int(a.gid)))
}
