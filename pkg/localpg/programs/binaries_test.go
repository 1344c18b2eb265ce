package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
)

// fakePostgres makes an installation whose server says that it is of a version.
func fakePostgres(t *testing.T, root, dir, version string) string {
	t.Helper()
	bin := localpgtest.Installation(t, root, dir, "postgres", "initdb")
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	if err := os.WriteFile(filepath.Join(bin, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

// clusterOf makes a data directory that a major version has made.
func clusterOf(t *testing.T, major string) string {
	t.Helper()
	root := t.TempDir()
	if major == "" {
		return root
	}
	if err := os.Mkdir(filepath.Join(root, "pgdata"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "pgdata", "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// only are places without what the machine has.
func only(patterns ...string) places { return places{patterns: patterns, lookPath: notOnPath} }

func notOnPath(string) (string, error) { return "", exec.ErrNotFound }

func TestADataDirectoryGetsTheProgramsThatMadeIt(t *testing.T) {
	t.Parallel()
	away := errors.New("the registry is away")
	for _, tt := range []struct {
		name      string
		installed []string // version texts
		made      string   // the data directory's major
		given     string   // version of --pg-bin
		fetched   error
		want      string   // directory below the root, or "fetched MAJOR"
		says      []string // of the error
	}{
		{name: "the newest for a new directory", installed: []string{"15.3", "17.1"}, want: "17.1/bin"},
		{name: "its own although a newer one is there", installed: []string{"15.3", "17.1"}, made: "15", want: "15.3/bin"},
		{name: "its own of before version 10", installed: []string{"9.5.2", "9.6.24"}, made: "9.6", want: "9.6.24/bin"},
		{name: "with a suffix", installed: []string{"16.4 (Debian 16.4-1)"}, made: "16", want: "16.4 (Debian 16.4-1)/bin"},
		{name: "a download where only another one is there", installed: []string{"17.1"}, made: "16", want: "fetched 16"},
		{name: "a download where nothing is there", want: "fetched "},
		{
			name: "nothing installed and no download", fetched: away,
			says: []string{away.Error(), "apt install postgresql;", "brew install postgresql)", "--pg-bin"},
		},
		{
			name: "another major installed and no download", installed: []string{"17.1"}, made: "15", fetched: away,
			says: []string{
				"made by PostgreSQL 15", away.Error(), "apt install postgresql-15", "postgresql@15", "--pg-bin", "another --data",
			},
		},
		{name: "given", given: "15.4", made: "15", want: "given/bin"},
		{name: "given for a new directory", given: "14.1", installed: []string{"17.1"}, want: "given/bin"},
		{
			name: "given of another major", given: "18.1", made: "15", installed: []string{"15.2"},
			says: []string{"made by PostgreSQL 15", "is PostgreSQL 18", "another --data"},
		},
		{name: "given by a beta", given: "19beta1", made: "19", want: "given/bin"},
		{name: "given without a readable version", given: "x", made: "15", want: "given/bin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, v := range tt.installed {
				fakePostgres(t, root, v+"/bin", v)
			}
			cfg := Config{DataDir: clusterOf(t, tt.made)}
			if tt.given != "" {
				cfg.BinDir = fakePostgres(t, root, "given/bin", tt.given)
			}
			fetch := func(_ context.Context, _ Config, major string) (string, error) { return "fetched " + major, tt.fetched }
			got, err := locate(t.Context(), cfg, only(filepath.Join(root, "[0-9]*", "bin")), fetch)
			if tt.says == nil {
				if want := tt.want; err != nil || strings.TrimPrefix(got, root+"/") != want {
					t.Fatalf("locate = %q, %v, want %q", got, err, want)
				}
				return
			}
			for _, text := range tt.says {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("locate = %q, %v, want an error with %q", got, err, text)
				}
			}
			if tt.fetched != nil && (!errors.Is(err, ErrNotFound) || !errors.Is(err, tt.fetched)) {
				t.Errorf("the error %v is neither ErrNotFound nor its cause", err)
			}
		})
	}
}

func TestAnInterruptedSearchIsNoMissingPostgres(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	fetch := func(ctx context.Context, _ Config, _ string) (string, error) {
		cancel()
		return "", ctx.Err()
	}
	_, err := locate(ctx, Config{DataDir: t.TempDir()}, only(), fetch)
	if errors.Is(err, ErrNotFound) || !errors.Is(err, context.Canceled) {
		t.Errorf("locate after Ctrl-C = %v, want that it was cancelled and no advice", err)
	}
}

func TestEveryMajorHasAPinnedDigestForEachPlatform(t *testing.T) {
	t.Parallel()
	for major, release := range npmReleases {
		if !strings.HasPrefix(release.version, major+".") {
			t.Errorf("PostgreSQL %s is version %s", major, release.version)
		}
		for platform := range npmNames {
			if len(release.sha512[platform]) != 88 {
				t.Errorf("PostgreSQL %s for %s has the digest %q", major, platform, release.sha512[platform])
			}
		}
	}
	if _, err := Fetch(t.Context(), Config{CacheDir: t.TempDir()}, "9.6"); !errors.Is(err, errNoDownload) {
		t.Errorf("Fetch of PostgreSQL 9.6 = %v, want errNoDownload", err)
	}
	if base, err := libraryBase(); err != nil || !strings.HasPrefix(base, "https://") {
		t.Errorf("the library asks %q, %v", base, err)
	}
}

func TestDamagedCacheIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		damage func(tree string) error
		intact bool
	}{
		{"untouched", func(string) error { return nil }, true},
		{"a file cut short", func(tree string) error { return os.Truncate(filepath.Join(tree, "lib/libpq.so"), 1) }, false},
		{"a file gone", func(tree string) error { return os.Remove(filepath.Join(tree, "lib/libpq.so")) }, false},
		{"a link gone", func(tree string) error { return os.Remove(filepath.Join(tree, "lib/link.so")) }, false},
		{"a program gone", func(tree string) error { return os.Remove(filepath.Join(tree, "bin/initdb")) }, false},
		{"a program that cannot be run", func(tree string) error { return os.Chmod(tree+"/bin/initdb", 0o644) }, false},
		{"the list gone", func(tree string) error { return os.Remove(filepath.Join(tree, manifestName)) }, false},
		{"the list cut short", func(tree string) error { return os.Truncate(filepath.Join(tree, manifestName), 9) }, false},
		{"everything gone", os.RemoveAll, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cache, fills := t.TempDir(), 0
			s := source{name: "here", dir: "copy", fill: func(_ context.Context, j job) error {
				fills++
				localpgtest.Installation(t, j.dst, "bin", "postgres", "initdb")
				lib := localpgtest.Installation(t, j.dst, "lib")
				return errors.Join(os.WriteFile(filepath.Join(lib, "libpq.so"), []byte("library"), 0o644),
					os.Symlink("libpq.so", filepath.Join(lib, "link.so")))
			}}
			if _, err := fillFrom(t.Context(), cache, []source{s}, nil); err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(filepath.Join(cache, "copy")); err != nil {
				t.Fatal(err)
			}
			if _, ok := cached(cache, []source{s}); ok != tt.intact {
				t.Errorf("the cache counts as good: %t, want %t", ok, tt.intact)
			}
			bin, err := fillFrom(t.Context(), cache, []source{s}, nil)
			if err != nil || !complete(bin) || fills == 2 == tt.intact {
				t.Errorf("the next fetch = %q, %v, after %d downloads", bin, err, fills)
			}
			if _, ok := cached(cache, []source{s}); !ok {
				t.Error("the cache is not repaired")
			}
		})
	}
}
