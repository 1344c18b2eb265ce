package idempotency_test

import (
	"os"
	"testing"

	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
