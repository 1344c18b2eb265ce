package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/registry"
)

// poor is a transport that fails as a process without descriptors does.
type poor struct {
	failures int
	secrets  []string
}

func (p *poor) RoundTrip(r *http.Request) (*http.Response, error) {
	p.secrets = append(p.secrets, r.Header.Get("Authorization"))
	if p.failures--; p.failures >= 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"ok":true}`)), Request: r}, nil
}

// TestF33ShortagesAreNotTheUpstreamsFailures holds that a call waits for a
// descriptor and for a secret that can be read.
func TestF33ShortagesAreNotTheUpstreamsFailures(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	transport := &poor{failures: 3}
	watch := shortage.NewWatch(zap.NewNop(), prometheus.NewRegistry())
	u := Client{HTTP: &http.Client{Transport: transport}, Shortage: watch}
	at := registry.Upstream{URL: "http://model.example.com/v1", Credential: registry.Credential{File: file}}
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := u.send(t.Context(), at, "chat/completions", []byte("{}"), Headers{}, false)
	if err != nil {
		t.Fatalf("send = %v, want an answer once there are descriptors", err)
	}
	_ = a.resp.Body.Close()
	if len(transport.secrets) != 4 || watch.Ready(t.Context()) == nil {
		t.Errorf("%d calls were sent, want 4, and the process unready", len(transport.secrets))
	}
	var lack *shortage.Error
	if _, err := resolve(registry.Credential{File: file + ".gone"}); !errors.As(err, &lack) {
		t.Errorf("resolve of a file that is not there = %v, want a shortage", err)
	}
	if _, err := resolve(registry.Credential{Env: "WINDLASS_TEST_NO_SUCH_SECRET"}); errors.As(err, &lack) {
		t.Errorf("resolve of a variable that is not set = %v, want a failure", err)
	}
}
