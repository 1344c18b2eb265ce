package programs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/retry"
)

// lines is an output for concurrent use.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// quick is downloadPace for tests: it stands still after 300 ms.
var quick = pace{look: 5 * time.Millisecond, line: 10 * time.Millisecond, stall: 300 * time.Millisecond}

func TestDownloadAnnouncesItself(t *testing.T) {
	t.Parallel()
	out, dir := &lines{}, t.TempDir()
	d := newDownload(out, "PostgreSQL 18 from npm", 24_000_000)
	d.dir = dir
	err := d.follow(t.Context(), quick, func(context.Context) error {
		if err := os.WriteFile(filepath.Join(dir, "part"), make([]byte, 6_000_000), 0o600); err != nil {
			return err
		}
		return waitFor(t, out, "6.0 MB of 24.0 MB (25%)")
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "Downloading PostgreSQL 18 from npm (about 24.0 MB)\n") {
		t.Errorf("the download says %q first", out)
	}
}

func TestDownloadThatStandsStillIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		send func(w http.ResponseWriter, r *http.Request)
	}{
		{"before the head", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"after a part", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "24000000")
			_, _ = w.Write(make([]byte, 100_000))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := relayed(t, io.Discard, tt.send)
			if !errors.Is(err, errStalled) {
				t.Errorf("the download ended with %v, want errStalled", err)
			}
		})
	}
}

func TestSlowDownloadIsNotGivenUp(t *testing.T) {
	t.Parallel()
	const parts = 20
	out := &lines{}
	err := relayed(t, out, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000000")
		pieces := time.NewTicker(quick.stall / 10) // in all twice as long as it may stand still
		defer pieces.Stop()
		for range parts {
			<-pieces.C
			_, _ = w.Write(make([]byte, 2_000_000/parts))
			_ = http.NewResponseController(w).Flush()
		}
	})
	if err != nil || !strings.Contains(out.String(), " of 2.0 MB (") {
		t.Errorf("the download ended with %v and said %q", err, out)
	}
}

func TestRefusedDownloadSaysWhy(t *testing.T) {
	t.Parallel()
	err := relayed(t, io.Discard, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	})
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("the download ended with %v, want the repository's status", err)
	}
}

// relayed downloads by a relay as the library does, which reports little.
func relayed(t *testing.T, out io.Writer, send http.HandlerFunc) error {
	t.Helper()
	repository := httptest.NewServer(send)
	t.Cleanup(repository.Close)
	d := newDownload(out, "an archive", 0)
	return d.follow(t.Context(), quick, func(ctx context.Context) error {
		r, err := startRelay(ctx, repository.URL, d)
		if err != nil {
			return err
		}
		defer r.close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url()+"/archive.jar", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
		}
		if cause := r.failure(); err != nil && cause != nil {
			return cause
		}
		return err
	})
}

// waitFor waits until out holds a text.
func waitFor(t *testing.T, out *lines, text string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !strings.Contains(out.String(), text) {
		if !retry.Sleep(ctx, quick.look) {
			t.Errorf("the output %q lacks %q", out, text)
			return context.Cause(ctx)
		}
	}
	return nil
}

func TestNPMThatFailsSaysWhyAndOneThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script string
		want   string
	}{
		"no network":         {"echo 'npm error code E1' >&2; echo 'npm error request failed, reason: x' >&2; exit 1", "request failed, reason: x"},
		"dies silently":      {"exit 3", "run npm pack: exit status 3"},
		"hangs":              {"exec sleep 600", errStalled.Error()},
		"hangs after a part": {"mkdir npm; echo part > npm/part; exec sleep 600", errStalled.Error()},
		"brings nothing":     {"exit 0", "left 0 archives"},
		"brings another":     {"echo x > x.tgz", errDigest.Error()},
		"brings half of it":  {"head -c 100 /dev/zero > x.tgz", errDigest.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			npm := filepath.Join(dir, "fake-npm")
			if err := os.WriteFile(npm, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			slower := pace{look: quick.look, line: quick.line, stall: 2 * time.Second} // a process starts meanwhile
			j := job{scratch: dir, dst: filepath.Join(dir, "tree"), pace: slower}
			err := npmFill(t.Context(), j, npm, "18", "package@1", npmReleases["18"].sha512["linux-amd64"])
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("npmFill = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestReasonOfNPM(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"npm error code E404\nnpm error 404 Not Found\nnpm error A complete log":                      "404 Not Found",
		"npm ERR! code E1\nnpm ERR! syscall s\nnpm ERR! errno E1\nnpm ERR! request failed, reason: x": "request failed, reason: x",
		"npm warn old lockfile\nnpm error boom":                                                       "boom",
		"sh: node: not found":                                                                         "sh: node: not found",
		"npm error code E1\nnpm error errno E1":                                                       "npm error code E1; npm error errno E1",
		"":                                                                                            "",
	} {
		if got := npmReason([]byte(said)); got != want {
			t.Errorf("npmReason(%q) = %q, want %q", said, got, want)
		}
	}
}
