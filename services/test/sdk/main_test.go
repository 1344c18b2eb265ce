package sdk

import (
	"testing"

	"windlass.dev/windlass/services/cli"
	"windlass.dev/windlass/services/test/program"
)

func TestMain(m *testing.M) { program.Main(m, cli.Run) }

const (
	apiKey   = "wl-sdk"
	patience = program.Patience
)

// startDev starts a `windlass dev` that ends with the test, and returns the URL
// of its API.
func startDev(t *testing.T, more ...string) string {
	t.Helper()
	d := program.StartDev(t, program.DataDir(t), append([]string{"--api-key", apiKey}, more...)...)
	t.Cleanup(func() { d.Stop(t) })
	return d.URL
}
