package behaviour

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// A stream is never silent for longer than proxies accept, and proxies must not
// buffer it.
func TestAQuietStreamIsKeptAlive(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, func(file *registry.File, _ string) { file.Models[0].Timeout = 30 * time.Second })
	plan := mock.Plan{Seed: 9100, ThinkMS: 16_000, Text: "at last"}
	body := `{"model":"mock","stream":true,"input":` + strconv.Quote(plan.Prompt()) + `}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/responses", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if kind, buffering := resp.Header.Get("Content-Type"), resp.Header.Get("X-Accel-Buffering"); !strings.HasPrefix(kind, "text/event-stream") || buffering != "no" {
		t.Errorf("the stream is %s, to be buffered: %q", kind, buffering)
	}
	var raw bytes.Buffer
	in, last, longest := bufio.NewReader(resp.Body), time.Now(), time.Duration(0)
	for {
		line, err := in.ReadString('\n')
		raw.WriteString(line)
		longest = max(longest, time.Since(last))
		last = time.Now()
		if err != nil {
			break
		}
	}
	stack.Streamed(t, raw.Bytes())
	if !strings.Contains(raw.String(), "\n\n: keep-alive\n\n") || longest > 15*time.Second+500*time.Millisecond {
		t.Errorf("the longest silence is %s, in\n%s", longest, raw.String())
	}
}
