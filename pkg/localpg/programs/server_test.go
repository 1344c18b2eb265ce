package programs_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
	"windlass.dev/windlass/pkg/localpg/programs"
)

func TestFetchedServerStarts(t *testing.T) {
	t.Parallel()
	needNetwork(t)
	cache := localpgtest.NewDir(t)
	bins := make([]string, 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range bins {
		wg.Go(func() { bins[i], errs[i] = programs.Fetch(t.Context(), programs.Config{CacheDir: cache}, "") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("two Fetches at once: %v", err)
	}
	want := filepath.Join(cache, "npm-"+programs.NewestVersion+"-"+programs.Platform(), "bin")
	if bins[0] != want || bins[1] != want {
		t.Errorf("Fetch = %v, want %s twice", bins, want)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "fetch-*")); err != nil || len(left) > 0 {
		t.Errorf("Fetch left %v behind, %v", left, err)
	}
	start(t, localpg.Config{BinDir: bins[0], DataDir: localpgtest.NewDir(t)})
}

func TestLibraryFetchedServerStarts(t *testing.T) {
	t.Parallel()
	needNetwork(t)
	cache := localpgtest.NewDir(t)
	if err := os.Mkdir(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	bin, err := programs.FetchByLibrary(t.Context(), cache)
	if err != nil {
		t.Fatalf("install by the library: %v", err)
	}
	start(t, localpg.Config{BinDir: bin, DataDir: localpgtest.NewDir(t)})
}

// needNetwork skips a test that downloads, unless it was asked for.
func needNetwork(t *testing.T) {
	t.Helper()
	if _, ok := os.LookupEnv("WINDLASS_TEST_FETCH"); !ok { //nolint:forbidigo // a switch of the tests, not configuration
		t.Skip("NOT RUN: downloads 24 MB; set WINDLASS_TEST_FETCH=1 to run it")
	}
}

// start starts a server, and stops it at the end of the test.
func start(t *testing.T, cfg localpg.Config) {
	t.Helper()
	s, err := localpg.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx, localpg.Immediate); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}
