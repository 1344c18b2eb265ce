package keys_test

import (
	"testing"

	"windlass.dev/windlass/services/cli"
	"windlass.dev/windlass/services/test/program"
)

func TestMain(m *testing.M) { program.Main(m, cli.Run) }
