//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/apikey"
	"windlass.dev/windlass/services/mock"
)

const (
	// memoryMax is WINDLASS_MEMORY_MAX of every process: the default.
	memoryMax = 1 << 30
	// probes are the requests of the other tenant in one phase.
	probes = 40
	// leastP99 is what an idle p99 counts at least: below it the scheduler of a
	// busy machine decides.
	leastP99 = 50 * time.Millisecond
)

var hostilePepper = apikey.Pepper("pepper of the hostile test")

// hostile is a tenant with one key that does all it can to use up memory.
type hostile struct {
	t    *testing.T
	w    *world
	key  string
	big  string // the id of a response with a long text
	stop []func()
	done sync.WaitGroup
}

// TestF40HostileTenant lets one tenant hold half-sent bodies, keep warm-ups on
// WebSockets and read nothing of large answers. Every process stays below its
// memory, and another tenant's requests take no more than twice as long at the
// 99th percentile as in the pauses between the attacks.
func TestF40HostileTenant(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_KEY_PEPPER", string(hostilePepper)), env("WINDLASS_MEMORY_MAX", memoryMax))
	h := &hostile{t: t, w: w, key: w.mint(t, "hostile")}
	h.big = h.respond(mock.Plan{Seed: 1, Text: strings.Repeat("long ", 1<<20)})
	w.probe(t, 5) // warms up
	attacks := []struct {
		name  string
		begin func()
	}{
		{"bodies", h.sendHalfBodies}, {"warm-ups", h.floodWarmUps}, {"readers", h.readNothing},
	}
	var idle, attacked []time.Duration
	for _, a := range attacks {
		idle = append(idle, w.probe(t, probes)...)
		a.begin()
		attacked = append(attacked, w.probe(t, probes)...)
		var peaks []string
		for _, name := range services {
			peaks = append(peaks, fmt.Sprintf("%s %d", name, w.peakMiB(t, name)))
		}
		t.Logf("%s: peak MiB so far: %s", a.name, strings.Join(peaks, ", "))
		h.end()
	}
	for _, name := range services {
		if peak := w.peakMiB(t, name); peak > memoryMax>>20 {
			t.Errorf("%s used %d MiB, want at most %d", name, peak, memoryMax>>20)
		}
	}
	before, during := p99(idle), p99(attacked)
	t.Logf("p99 of another tenant: %v in the pauses, %v under attack", before, during)
	if during > 2*max(before, leastP99) {
		t.Errorf("p99 of another tenant: %v in the pauses, %v under attack", before, during)
	}
}

// mint makes a key of a tenant.
func (w *world) mint(t *testing.T, tenant string) string {
	t.Helper()
	db, err := postgres.Open(postgres.Config{URL: w.url, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k := hostilePepper.New()
	_, err = keys.New(db).Create(t.Context(), keys.NewKey{
		ID: k.ID, Tenant: tenant, Hash: hostilePepper.Hash(k.Secret), Scopes: []string{apikey.ScopeResponses},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k.String()
}

// probe sends requests of the other tenant one after the other and returns how
// long each took to its end.
func (w *world) probe(t *testing.T, n int) (took []time.Duration) {
	t.Helper()
	for i := range n {
		body, err := json.Marshal(map[string]any{"model": model, "input": mock.Plan{Seed: int64(i)}.Prompt()})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var o Object
		if err := w.api.do(t.Context(), http.MethodPost, "/v1/responses", body, &o); err != nil || o.Status != "completed" {
			t.Fatalf("a request of the other tenant: %v, status %q", err, o.Status)
		}
		took = append(took, time.Since(began))
	}
	return took
}

func p99(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)*99/100]
}

// peakMiB returns the largest resident size that a process has had.
func (w *world) peakMiB(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.services[name].current().cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// respond runs a request of the hostile tenant to its end.
func (h *hostile) respond(p mock.Plan) (id string) {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{"model": model, "input": p.Prompt()})
	if err != nil {
		h.t.Fatal(err)
	}
	conn := h.dial()
	defer conn.Close()
	h.write(conn, "POST", "/v1/responses", len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	var o Object
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil || o.Status != "completed" {
		h.t.Fatalf("the large response: %v, %d, %q", err, resp.StatusCode, o.Status)
	}
	return o.ID
}

func (h *hostile) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.w.api.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// write sends a request with a body of size bytes, of which part is sent. The
// gateway may refuse meanwhile.
func (h *hostile) write(conn net.Conn, method, path string, size int, part []byte) {
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, conn.RemoteAddr(), h.key, size)
	_, _ = conn.Write(part)
}

// side runs fn beside the test until end.
func (h *hostile) side(closer io.Closer, fn func()) {
	h.stop = append(h.stop, func() { _ = closer.Close() })
	h.done.Go(fn)
}

// end ends the attack.
func (h *hostile) end() {
	for _, stop := range h.stop {
		stop()
	}
	h.done.Wait()
	h.stop = nil
}

// sendHalfBodies sends 15 of 16 MiB, 60 times.
func (h *hostile) sendHalfBodies() {
	part := []byte(`{"model":"` + model + `","input":"` + strings.Repeat("x", 15<<20))
	var sent sync.WaitGroup
	for range 60 {
		conn := h.dial()
		sent.Add(1)
		h.side(conn, func() {
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			h.write(conn, "POST", "/v1/responses", 16<<20, part)
			sent.Done()
			_, _ = io.Copy(io.Discard, conn)
		})
	}
	sent.Wait()
}

// floodWarmUps keeps four warm-ups of 15 MiB on each of 20 WebSockets.
func (h *hostile) floodWarmUps() {
	ctx := h.t.Context()
	var sent sync.WaitGroup
	for i := range 20 {
		conn, _, err := websocket.Dial(ctx, h.w.api.base+"/v1/responses",
			&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + h.key}}})
		if err != nil { // beyond the share
			continue
		}
		conn.SetReadLimit(64 << 20)
		sent.Add(1)
		h.side(closerFunc(conn.CloseNow), func() {
			done := sync.OnceFunc(sent.Done)
			defer done()
			for n := range 4 {
				text := strings.Repeat("x", 9<<20)
				message := fmt.Sprintf(`{"type":"response.create","model":%q,"generate":false,"stream_id":"s%d-%d","input":[`+
					`{"role":"user","content":"%s"}]}`, model, i, n, text)
				write, stop := context.WithTimeout(ctx, 10*time.Second)
				err := conn.Write(write, websocket.MessageText, []byte(message))
				stop()
				if err != nil {
					return
				}
			}
			done()
			for {
				if _, _, err := conn.Read(ctx); err != nil {
					return
				}
			}
		})
	}
	sent.Wait()
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

// readNothing asks 100 times for a large response, as an object and as events,
// and reads nothing.
func (h *hostile) readNothing() {
	for i := range 100 {
		conn := h.dial()
		path := "/v1/responses/" + h.big
		if i%2 == 0 {
			path += "/input_items?limit=100"
		}
		h.write(conn, "GET", path, 0, nil)
		h.stop = append(h.stop, func() { _ = conn.Close() })
	}
}
