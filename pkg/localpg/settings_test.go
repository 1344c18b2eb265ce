package localpg

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
)

func TestServerArgs(t *testing.T) {
	t.Parallel()
	bin := localpgtest.Installation(t, t.TempDir(), "bin", "postgres", "initdb")
	extra := map[string]string{"fsync": "off", "port": "1", "listen_addresses": "*", "work_mem": "8MB"}
	want := []string{
		"-D", "/data", "-c", "autovacuum_naptime=10s", "-c", "fsync=off", "-c", "full_page_writes=on",
		"-c", "listen_addresses=127.0.0.1", "-c", "log_destination=stderr", "-c", "log_min_messages=warning",
		"-c", "logging_collector=off", "-c", "max_connections=100", "-c", "port=5555", "-c", "shared_buffers=128MB",
		"-c", "synchronous_commit=on", "-c", "unix_socket_directories=", "-c", "work_mem=8MB",
	}
	if diff := cmp.Diff(want, serverArgs(bin, "/data", 5555, extra)); diff != "" {
		t.Errorf("serverArgs (-want +got):\n%s", diff)
	}
	localpgtest.Installation(t, filepath.Dir(bin), "lib/postgresql", "pg_stat_statements.so")
	if diff := cmp.Diff(len(want)+2, len(serverArgs(bin, "/data", 5555, extra))); diff != "" {
		t.Errorf("with pg_stat_statements installed nothing is preloaded (-want +got):\n%s", diff)
	}
}
