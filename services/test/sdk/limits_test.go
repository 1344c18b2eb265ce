package sdk

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"windlass.dev/windlass/services/mock"
)

// An SDK that gets a Retry-After sends its request again after that time, and
// the request is accepted.
func TestOverALimit(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "registry.yaml")
	const limits = "tenants:\n  - {name: default, in_flight: 1, requests_per_minute: 600, tokens_per_minute: 1000000}\n"
	if err := os.WriteFile(config, []byte(limits), 0o600); err != nil {
		t.Fatal(err)
	}
	r := record(t, startDev(t, "--config", config))
	g := &goClient{openai.NewClient(option.WithBaseURL(r.URL+"/v1"), option.WithAPIKey(apiKey)), firstSeed()}
	first := g.params(mock.Plan{ThinkMS: 700})
	first.Background = openai.Bool(true)
	g.ask(t, first)

	_, err := g.Responses.New(t.Context(), g.params(mock.Plan{}), option.WithMaxRetries(0))
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusTooManyRequests || refused.Code != "rate_limit_exceeded" {
		t.Fatalf("over the limit it gets %v, want 429", err)
	}
	var head *http.Response
	began := time.Now()
	response, err := g.Responses.New(t.Context(), g.params(mock.Plan{}), option.WithResponseInto(&head))
	if err != nil || response.Status != "completed" {
		t.Fatalf("with its own retries it gets %+v, %v", response, err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it retried after %v, want the second of Retry-After", took)
	}
	for name, want := range map[string]string{"X-Ratelimit-Limit-Requests": "600", "X-Ratelimit-Remaining-Requests": "599", "X-Ratelimit-Limit-Tokens": "1000000"} {
		if got := head.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r.Close()
	var statuses []int
	for _, e := range r.exchanges {
		statuses = append(statuses, e.status)
	}
	last := r.exchanges[len(r.exchanges)-1]
	if len(statuses) < 4 || last.status != http.StatusOK || last.request.Header.Get("X-Stainless-Retry-Count") == "0" {
		t.Errorf("the answers were %v, the last to retry %s", statuses, last.request.Header.Get("X-Stainless-Retry-Count"))
	}
}
