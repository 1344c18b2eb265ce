package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
)

func TestBackgroundIsAnsweredAtOnceAndReadLater(t *testing.T) {
	t.Parallel()
	s := raise(t)
	body := `{"model":"m","input":"hi","background":true,"metadata":{"a":"b"},"service_tier":"flex","new_field":1}`
	created := s.call("POST", "/v1/responses", body)
	o := created.object(t)
	if created.status != http.StatusOK || o["status"] != "queued" || o["background"] != true {
		t.Fatalf("create answered %d %s, want 200 and a queued background response", created.status, created.body)
	}
	id := o["id"].(string)
	read := func(want string) reply {
		t.Helper()
		r := s.call("GET", "/v1/responses/"+id, "")
		if got := r.object(t)["status"]; r.status != http.StatusOK || got != want {
			t.Errorf("GET answered %d, status %v; want 200, %s", r.status, got, want)
		}
		return r
	}
	again := read("queued").object(t)
	if diff := cmp.Diff(o, again, cmp.FilterPath(func(p cmp.Path) bool {
		return strings.Contains(p.GoString(), `"created_at"`) // by two clocks, to the second
	}, cmp.Ignore())); diff != "" {
		t.Errorf("GET differs from the create's answer (-create +GET):\n%s", diff)
	}
	row := s.claim()
	read("in_progress")
	const final = `{"status":"completed","n":1}`
	s.finish(row, run.Completed, final)
	same(t, "final object", read("completed").body, final)
}

func TestRowHoldsWhatWasAsked(t *testing.T) {
	t.Parallel()
	s := raise(t)
	body := `{"model":"m","input":"hi","background":true}`
	const trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	r := s.request(t.Context(), "POST", "/v1/responses", body)
	r.Header.Set("Traceparent", trace)
	s.send(r)
	row := s.claim()
	if row.Tenant != auth.DefaultTenant || row.Model != "m" || row.Lane != "m" || row.Trace != trace {
		t.Errorf("row %+v, want tenant %s, model and lane m, trace %s", row, auth.DefaultTenant, trace)
	}
	if row.Remaining < 59*time.Minute || row.Remaining > time.Hour {
		t.Errorf("deadline in %v, want the registry's hour", row.Remaining)
	}
	a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Background {
		t.Error("the row is not a background request's")
	}
	same(t, "stored body", a.Body, body)
}

func TestWakeFollowsTheAccept(t *testing.T) {
	t.Parallel()
	s := raise(t)
	woken := make(chan struct{}, 1)
	stop, err := s.bus.OnWake(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := s.bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.background()
	select {
	case <-woken:
	case <-time.After(patienceOfTests):
		t.Error("no wake hint after an accept")
	}
}

func TestEveryRouteWantsTheKey(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, op := range openapitest.Operations(t) {
		r := s.request(t.Context(), op.Method, strings.NewReplacer("{", "", "}", "").Replace(op.Path), "")
		r.Header.Del("Authorization")
		got := s.send(r)
		if open := got.status != http.StatusUnauthorized; open == op.NeedsKey {
			t.Errorf("%s %s without a key answered %d; it needs one: %v", op.Method, op.Path, got.status, op.NeedsKey)
		}
	}
}

func TestObjectOfEveryStatus(t *testing.T) {
	t.Parallel()
	c, f := responses.Decode([]byte(`{"model":"m","input":"x"}`))
	if f != nil {
		t.Fatal(f)
	}
	for status, want := range map[run.Status]string{
		run.Queued: "queued", run.InProgress: "in_progress", run.Cancelled: "cancelled", run.Expired: "failed",
	} {
		// The time is in the id's first six bytes, in milliseconds.
		o := reply{body: render.Object(c, [16]byte{0, 0, 0, 0, 0x1b, 0x58}, status)}.object(t)
		if o["status"] != want || o["id"] != "resp_000000001b5800000000000000000000" || o["created_at"] != 7.0 {
			t.Errorf("object of %s is %v", status, o)
		}
		if output, ok := o["output"].([]any); !ok || len(output) != 0 {
			t.Errorf("object of %s has output %v, want []", status, o["output"])
		}
	}
	if _, err := render.Response(&answers.Answer{Status: run.Completed, Body: []byte(`{"model":"m","input":"x"}`)}); err == nil {
		t.Error("a completed row without an answer was shown")
	}
}
