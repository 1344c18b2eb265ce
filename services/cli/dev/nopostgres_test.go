package dev_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/test/program"
)

// withoutPostgres runs a command in a mount and a network namespace where no
// Postgres is installed, none was downloaded, and only loopback is up.
const withoutPostgres = `
for dir in /usr/lib/postgresql /usr/pgsql-* /var/cache; do
	if [ -d "$dir" ]; then mount -t tmpfs none "$dir" || exit 99; fi
done
ip link set lo up 2>/dev/null
export PATH=/usr/local/bin:/usr/bin:/bin XDG_CACHE_HOME="$1/cache" HOME="$1"
shift
exec "$@"`

func TestNoPostgresAndNoNetwork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/usr/bin/postgres"); err == nil {
		t.Skip("NOT RUN: /usr/bin/postgres cannot be hidden")
	}
	unshare := []string{"--mount", "--net"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	probe := append(unshare[:len(unshare):len(unshare)], "mount", "-t", "tmpfs", "none", "/mnt")
	if out, err := exec.CommandContext(t.Context(), "unshare", probe...).CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: this machine makes no namespaces for this user: %v, %s", err, out)
	}
	data := program.DataDir(t)
	args := append(unshare, "sh", "-c", withoutPostgres, "sh", data,
		os.Args[0], "dev", "--data", data, "--listen", "0", "--nats-listen", "0")
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(program.Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	began := time.Now()
	err := cmd.Run()
	if took := time.Since(began); err == nil || cmd.ProcessState.ExitCode() != 1 || took > 45*time.Second {
		t.Errorf("dev ended with %v after %s, want 1 within two timeouts of 20 s", err, took)
	}
	last := program.LastLine(errs.String())
	for _, text := range []string{
		"PostgreSQL is not installed and could not be downloaded", "Maven Central", "apt install postgresql", "brew install", "--pg-bin",
	} {
		if !strings.Contains(last, text) {
			t.Errorf("the last line is %q, want %q in it", last, text)
		}
	}
	if !strings.Contains(errs.String(), "Downloading PostgreSQL 18 from ") {
		t.Errorf("dev said %q, want the downloads announced", errs.String())
	}
	if strings.Contains(out.String(), "ready") {
		t.Errorf("dev is ready without a database: %s", out.String())
	}
}
