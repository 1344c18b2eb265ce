package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// maker is a server whose one POST makes something and no request.
type maker struct {
	*server
	url  string
	runs atomic.Int32
}

func newMaker(t *testing.T, do func(m *maker, x *httpapi.Exchange, id uuid.UUID) error) *maker {
	t.Helper()
	db, err := postgres.Open(postgres.Config{URL: storetest.Database(t, migrate), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	cfg := Config{Registry: models(t, 0), Runtime: process.NewRuntime("gateway", process.Config{}, zap.NewNop()), MaxBody: 1 << 20}
	s, err := newServer(cfg, db, bustest.Connect(t, bustest.NewBroker(t)))
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{server: s}
	once := m.once.Once("/v1/things", func(x *httpapi.Exchange, _ *http.Request) error {
		m.runs.Add(1)
		id, err := x.NewID()
		if err != nil {
			return err
		}
		return do(m, x, id)
	})
	m.api.Add(httpapi.Routes{"/v1/things": {http.MethodPost: func(x *httpapi.Exchange, r *http.Request) error {
		x.Who.Tenant = "a"
		return once(x, r)
	}}}, nil)
	served := httptest.NewServer(m.api.Handler())
	t.Cleanup(m.tasks.Wait)
	t.Cleanup(served.Close)
	m.url = served.URL + "/v1/things"
	return m
}

// use sends one POST.
func (m *maker) use(t *testing.T, key, body string) reply {
	t.Helper()
	r, err := m.useWithin(t.Context(), key, body)
	if err != nil {
		t.Error(err)
	}
	return r
}

func (m *maker) useWithin(ctx context.Context, key, body string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, text}, err
}

func TestAnAnswerIsKeptForRepeats(t *testing.T) {
	t.Parallel()
	m := newMaker(t, func(m *maker, x *httpapi.Exchange, id uuid.UUID) error {
		x.Send(http.StatusCreated, []byte(id.String()))
		return nil
	})
	first, again := m.use(t, "k", "{}"), m.use(t, "k", "{}")
	if first.status != http.StatusCreated || again.status != http.StatusCreated || string(first.body) != string(again.body) ||
		again.header.Get("Idempotent-Replayed") != "true" || again.header.Get("Content-Type") != first.header.Get("Content-Type") || m.runs.Load() != 1 {
		t.Errorf("answers %d %s and %d %v %s after %d runs", first.status, first.body, again.status, again.header, again.body, m.runs.Load())
	}
	wantRefused(t, "another body", m.use(t, "k", "[]"), http.StatusUnprocessableEntity, "idempotency_key_reused")
	if a, b := m.use(t, "", "{}"), m.use(t, "", "{}"); string(a.body) == string(b.body) {
		t.Error("without a key two answers are the same")
	}
}

func TestConcurrentUsesOfAKeyRunOneHandler(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	m := newMaker(t, func(m *maker, x *httpapi.Exchange, id uuid.UUID) error {
		<-let
		x.Send(http.StatusOK, []byte(id.String()))
		return nil
	})
	var mu sync.Mutex
	bodies := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := m.use(t, "k", "{}")
			mu.Lock()
			defer mu.Unlock()
			bodies[string(r.body)]++
		})
	}
	eventually(t, "a run", func() bool { return m.runs.Load() == 1 })
	close(let)
	wg.Wait()
	if len(bodies) != 1 || m.runs.Load() != 1 {
		t.Errorf("8 uses ran %d handlers and got %v, want 1 and one answer", m.runs.Load(), bodies)
	}
}

func TestWhatAHandlerThatFailedMadeIsMadeUnderTheSameID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		same bool
	}{
		{"refused", fault.Invalid("", "", "no"), false},
		{"unavailable", fault.Unavailable(time.Second), true},
		{"broken", context.DeadlineExceeded, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var ids []uuid.UUID
			m := newMaker(t, func(m *maker, x *httpapi.Exchange, id uuid.UUID) error {
				if ids = append(ids, id); len(ids) == 1 {
					return tt.err
				}
				x.Send(http.StatusOK, nil)
				return nil
			})
			if r := m.use(t, "k", "{}"); r.status < 400 {
				t.Fatalf("answered %d", r.status)
			}
			if r := m.use(t, "k", "{}"); r.status != http.StatusOK || r.header.Get("Idempotent-Replayed") != "" || len(ids) != 2 || (ids[0] == ids[1]) != tt.same {
				t.Errorf("the repeat answered %d, ids %v; want it run, with the same id: %v", r.status, ids, tt.same)
			}
		})
	}
}

func TestALargeAnswerIsMadeAgain(t *testing.T) {
	t.Parallel()
	ids := map[uuid.UUID]bool{}
	m := newMaker(t, func(m *maker, x *httpapi.Exchange, id uuid.UUID) error {
		ids[id] = true
		x.Send(http.StatusOK, make([]byte, 256<<10+1))
		return nil
	})
	for range 3 {
		if r := m.use(t, "k", "{}"); r.status != http.StatusOK || len(r.body) != 256<<10+1 {
			t.Errorf("answered %d with %d bytes", r.status, len(r.body))
		}
	}
	if m.runs.Load() != 3 || len(ids) != 1 {
		t.Errorf("%d runs under %d ids, want 3 and 1", m.runs.Load(), len(ids))
	}
}

func TestAWaitForAHeldKeyEndsWithItsClient(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	m := newMaker(t, func(m *maker, x *httpapi.Exchange, _ uuid.UUID) error { <-let; x.Send(http.StatusOK, nil); return nil })
	first := make(chan reply, 1)
	go func() { first <- m.use(t, "k", "{}") }()
	eventually(t, "a run", func() bool { return m.runs.Load() == 1 })
	ctx, hangUp := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer hangUp()
	if r, err := m.useWithin(ctx, "k", "{}"); err == nil {
		t.Errorf("answered %d while another holds the key", r.status)
	}
	close(let)
	if r := receive(t, first); r.status != http.StatusOK || m.runs.Load() != 1 {
		t.Errorf("answered %d after %d runs", r.status, m.runs.Load())
	}
}
