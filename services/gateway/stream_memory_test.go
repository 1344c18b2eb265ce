package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/internal/livestream"
)

// streamed accepts a streamed background response, whose first turn is due.
func (s *stand) streamed() run.Row {
	s.tb.Helper()
	a, err := s.store.Accept(s.tb.Context(), store.NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: auth.DefaultTenant, Endpoint: run.Responses, Model: "m", Lane: "m",
		Body: []byte(`{"model":"m","input":"hi","background":true,"stream":true}`), Background: true, Streamed: true,
		Timeout: time.Hour, Admit: true,
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	return a.Row
}

// archivedStream makes a completed response whose archive has about as many
// bytes of events, and whose answer has a seventh of them. It returns its path.
func (s *stand) archivedStream(size int) (path string) {
	s.tb.Helper()
	row := s.streamed()
	rnd := rand.New(rand.NewPCG(1, 2))
	text := strings.Builder{}
	a := livestream.NewArchive()
	events := append(livestream.Opening(row.ID, &responses.Create{Background: true}),
		event.Response("response.in_progress", []byte(`{"id":"resp_1"}`)))
	for n := 0; n < size; n += 240 {
		word := fmt.Sprintf("%032x", rnd.Uint64())
		text.WriteString(word)
		events = append(events, event.Event{Type: "response.output_text.delta", Data: fmt.Appendf(nil,
			`"item_id":"msg_01a22fafe373793c9a5e6952d72b3e5100010000","output_index":0,"content_index":0,"delta":%q,"logprobs":[]`, word)})
	}
	for _, e := range events {
		if err := a.Add(e); err != nil {
			s.tb.Fatal(err)
		}
	}
	kept, err := a.Bytes()
	if err != nil {
		s.tb.Fatal(err)
	}
	s.finish(row, run.Completed, `{"output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"`+
		text.String()+`","annotations":[],"logprobs":[]}]}],"usage":{}}`)
	if err := s.store.Archive(s.tb.Context(), row.ID, kept); err != nil {
		s.tb.Fatal(err)
	}
	return "/v1/responses/resp_" + run.Hex(row.ID) + "?stream=true"
}

// open opens a stream with a bare connection, which reads nothing by itself.
func (s *stand) openBare(path string) net.Conn {
	s.tb.Helper()
	conn, err := new(net.Dialer).DialContext(s.tb.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		s.tb.Fatal(err)
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + testKey + "\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		s.tb.Fatal(err)
	}
	return conn
}

// heap returns the bytes that live.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestReadersOfAnArchiveShareIt opens 100 streams of one archive of 7 MiB
// without reading them: they cost their decoders, not the events.
func TestReadersOfAnArchiveShareIt(t *testing.T) { //nolint:paralleltest // it measures the heap
	const readers = 100
	s := raise(t)
	path := s.archivedStream(7 << 20)
	whole := s.call(http.MethodGet, path, "").body
	before := heap()
	for range readers {
		conn := s.openBare(path)
		head := make([]byte, 12)
		if _, err := conn.Read(head); err != nil || !bytes.HasSuffix(head, []byte("200")) {
			t.Fatalf("the stream begins with %q, %v", head, err)
		}
	}
	var grown, last int
	for limit := time.Now().Add(patienceOfTests); time.Now().Before(limit); { // until all wait for their clients
		<-time.After(200 * time.Millisecond)
		if last, grown = grown, heap()-before; last > 0 && grown-last < grown/50 && last-grown < grown/50 {
			break
		}
	}
	t.Logf("%d readers of a stream of %d bytes: %.1f MiB, %d kB each", readers, len(whole), float64(grown)/(1<<20), grown/readers>>10)
	if limit := readers * 768 << 10; grown > limit {
		t.Errorf("%d readers that do not read hold %d bytes, want at most %d", readers, grown, limit)
	}
}
