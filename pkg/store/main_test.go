package store_test

import (
	"errors"
	"os"
	"testing"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func wantStale(tb testing.TB, what string, err error) {
	tb.Helper()
	if !errors.Is(err, store.ErrStale) {
		tb.Errorf("%s: error %v, want ErrStale", what, err)
	}
}
