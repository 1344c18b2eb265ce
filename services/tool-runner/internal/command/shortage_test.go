package command

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

// TestF33ASecretThatCannotBeReadIsWaitedFor holds that such a secret fails no
// call and counts no attempt.
func TestF33ASecretThatCannotBeReadIsWaitedFor(t *testing.T) {
	t.Parallel()
	bearer := make(chan string, 1)
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		bearer <- r.Header.Get("Authorization")
		runnertest.Answer(w, r)
	})
	file := filepath.Join(t.TempDir(), "secret")
	plain, _ := h.Tools.Tool("plain")
	tools, err := registry.New(registry.File{Tools: []registry.Tool{
		{Name: "plain", URL: plain.URL, AllowPrivate: true, Credential: registry.Credential{File: file}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := newHandler(t, h)
	r.Tools, r.Shortage = tools, shortage.NewWatch(h.Runtime.Log, prometheus.NewRegistry())
	c := runnertest.Command("plain")
	ended := make(chan error, 1)
	go func() { ended <- r.Handle(t.Context(), runnertest.Delivery(c, 1)) }()
	for end := time.Now().Add(runnertest.Timeout); r.Shortage.Ready(t.Context()) == nil; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the runner stays ready without the secret")
		}
	}
	h.WantNoEvent(t)
	if err := os.WriteFile(file, []byte("s3cret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runnertest.Receive(t, bearer, "call"); got != "Bearer s3cret-token" {
		t.Errorf("Authorization is %q, want the secret", got)
	}
	h.WantEvent(t, runnertest.Sunny(c))
	if err := runnertest.Receive(t, ended, "end"); err != nil {
		t.Errorf("Handle = %v", err)
	}
}
