package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/apikey"
)

// nothingRead fails the test that reads its body.
type nothingRead struct{ testing.TB }

func (b nothingRead) Read([]byte) (int, error) {
	b.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

func (nothingRead) Close() error { return nil }

// BenchmarkBadKeys is what a flood of keys costs, without the network:
// everything the gateway does for one of them, its log line and its metrics
// too. At least 10,000 have to be refused a second and core, which is 100 µs
// for each.
func BenchmarkBadKeys(b *testing.B) {
	var tasks sync.WaitGroup
	shelved := &shelf{keys: map[string]keys.Key{}}
	checker := New(Options{
		APIKey: keyOfTests, Pepper: string(pepperOfTests), Find: shelved.find, Tasks: &tasks, Log: zap.NewNop(),
	})
	api := httpapi.New(httpapi.Options{Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), MaxBody: 1 << 20, Tasks: &tasks})
	api.Add(httpapi.Routes{"/v1/responses": {http.MethodPost: func(*httpapi.Exchange, *http.Request) error { return nil }}},
		func(_, _ string, h httpapi.Handler) httpapi.Handler { return checker.Require(h) })
	kept := pepperOfTests.New()
	full := validKey(kept.ID)
	full.Hash = pepperOfTests.Hash(kept.Secret)
	shelved.keys[kept.ID] = full
	h := api.Handler()
	var forged []string
	for i := range 1000 {
		forged = append(forged, apikey.Pepper(fmt.Sprintf("another pepper %d", i)).New().String())
	}
	for name, key := range map[string]func(i int) string{
		"none":             func(int) string { return "" },
		"of another shape": func(i int) string { return "sk-" + strings.Repeat("x", i%100) },
		"made up":          func(i int) string { return forged[i%len(forged)] },
		"with a wrong secret": func(i int) string {
			return apikey.Key{ID: kept.ID, Secret: forged[i%len(forged)][len(forged[0])-52:]}.String()
		},
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/responses", nothingRead{b})
			r.ContentLength = 100
			for i := 0; b.Loop(); i++ {
				r.Header.Set("Authorization", "Bearer "+key(i))
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
					b.Fatalf("answered %d", w.Code)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refused/s")
		})
	}
	tasks.Wait()
}
