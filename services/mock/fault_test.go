package mock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// observed is what a plain client receives from one faulty call.
type observed struct {
	status  int
	header  http.Header
	body    string
	sendErr error
	readErr error
}

// side is where a fault happens: the model, a streaming model, or a tool.
type side struct {
	name string
	call func(t *testing.T, ctx context.Context, url string, f mock.Fault) observed
	good string // part of a right reply
}

func sides() []side {
	const seed = 77
	model := func(stream bool) func(*testing.T, context.Context, string, mock.Fault) observed {
		return func(t *testing.T, ctx context.Context, url string, f mock.Fault) observed {
			p := mock.Plan{Seed: seed, Tokens: 20, ModelFaults: []mock.Fault{f}}
			l := newLoop(t, url, p.Prompt())
			l.stream = stream
			raw, err := json.Marshal(l.request())
			if err != nil {
				t.Fatalf("encode request: %v", err)
			}
			return observe(t, ctx, url+"/v1/chat/completions", raw)
		}
	}
	tool := func(t *testing.T, ctx context.Context, url string, f mock.Fault) observed {
		p := mock.Plan{Seed: seed, Rounds: 1, ToolFaults: []mock.Fault{f}}
		arguments := newLoop(t, url, p.Prompt()).model().Choices[0].Message.ToolCalls[0].Function.Arguments
		return observe(t, ctx, url+"/tools/mock_echo", []byte(arguments))
	}
	return []side{
		{"model", model(false), `"finish_reason":"stop"`},
		{"stream", model(true), "data: [DONE]"},
		{"tool", tool, `"value":`},
	}
}

func observe(t *testing.T, ctx context.Context, url string, body []byte) (o observed) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return observed{sendErr: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return observed{status: resp.StatusCode, header: resp.Header, body: string(raw), readErr: err}
}

func TestEveryFaultShows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault mock.Fault
		check func(side, observed) bool
	}{
		{"status alone", mock.Fault{}, func(_ side, o observed) bool {
			return o.status == 500 && strings.Contains(o.body, `"server_error"`)
		}},
		{"rate limit", mock.Fault{Status: 429, RetryAfter: "3600"}, func(_ side, o observed) bool {
			return o.status == 429 && o.header.Get("Retry-After") == "3600" && strings.Contains(o.body, `"rate_limit_exceeded"`)
		}},
		{"odd Retry-After", mock.Fault{Status: 503, RetryAfter: "soon, perhaps"}, func(_ side, o observed) bool {
			return o.status == 503 && o.header.Get("Retry-After") == "soon, perhaps"
		}},
		{"own body", mock.Fault{Status: 400, Body: `{"error":{"code":"context_length_exceeded"}}`}, func(_ side, o observed) bool {
			return o.status == 400 && o.body == `{"error":{"code":"context_length_exceeded"}}`
		}},
		{"own good body", mock.Fault{Status: 200, Body: "data: \r\n: hm"}, func(s side, o observed) bool {
			return o.status == 200 && o.body == "data: \r\n: hm" && (s.name == "stream") == (o.header.Get("Content-Type") == "text/event-stream")
		}},
		{"reset", mock.Fault{Mode: "reset"}, func(_ side, o observed) bool {
			return errors.Is(o.sendErr, syscall.ECONNRESET)
		}},
		{"reset amid the body", mock.Fault{Mode: "reset", Bytes: 20}, func(s side, o observed) bool {
			return (o.sendErr != nil || o.readErr != nil) && !strings.Contains(o.body, s.good)
		}},
		{"malformed", mock.Fault{Mode: "malformed"}, func(s side, o observed) bool {
			return o.status == 200 && o.readErr == nil && !json.Valid([]byte(o.body)) && strings.Contains(o.header.Get("Content-Type"), contentType(s))
		}},
		{"truncate", mock.Fault{Mode: "truncate"}, func(s side, o observed) bool {
			cut := errors.Is(o.readErr, io.ErrUnexpectedEOF)
			return o.status == 200 && o.body != "" && !strings.Contains(o.body, s.good) && cut == (s.name != "stream")
		}},
		{"empty", mock.Fault{Mode: "empty"}, func(s side, o observed) bool {
			want := map[string]string{"model": `"choices":[]`, "stream": "data: [DONE]\n\n", "tool": ""}[s.name]
			return o.status == 200 && strings.Contains(o.body, want) && len(o.body) < 200
		}},
		{"no content", mock.Fault{Mode: "empty", Status: 204}, func(_ side, o observed) bool {
			return o.status == 204 && o.body == ""
		}},
		{"html", mock.Fault{Mode: "html"}, func(_ side, o observed) bool {
			return o.status == 200 && strings.Contains(o.body, "<html>") && strings.HasPrefix(o.header.Get("Content-Type"), "text/html")
		}},
		{"html error", mock.Fault{Mode: "html", Status: 502}, func(_ side, o observed) bool {
			return o.status == 502 && strings.Contains(o.body, "<html>")
		}},
		{"nul", mock.Fault{Mode: "nul"}, func(s side, o observed) bool {
			return o.status == 200 && strings.Contains(o.body, `a\u0000b`) && strings.Contains(o.body, s.good)
		}},
		{"big", mock.Fault{Mode: "big", Bytes: 1 << 20}, func(s side, o observed) bool {
			return o.status == 200 && len(o.body) >= 1<<20 && len(o.body) < 2<<20 && strings.Contains(o.body, s.good) && o.readErr == nil
		}},
		{"big by default", mock.Fault{Mode: "big"}, func(s side, o observed) bool {
			return o.status == 200 && len(o.body) >= 10<<20 && strings.Contains(o.body, s.good)
		}},
		{"redirect to itself", mock.Fault{Mode: "redirect"}, func(_ side, o observed) bool {
			return o.sendErr != nil && strings.Contains(o.sendErr.Error(), "10 redirects")
		}},
		{"redirect elsewhere", mock.Fault{Mode: "redirect", Status: 302, Body: "/healthz"}, func(_ side, o observed) bool {
			return o.status == 200 && o.body == "ok\n"
		}},
		{"binary", mock.Fault{Mode: "binary"}, func(_ side, o observed) bool {
			return o.status == 200 && len(o.body) == 256 && o.body[0] == 0xff && strings.Contains(o.body, "\x00")
		}},
		{"headers", mock.Fault{Mode: "headers", Bytes: 10_000}, func(s side, o observed) bool {
			return o.status == 200 && len(o.header) > 10 && len(o.header.Values("Set-Cookie")) == 3 && strings.Contains(o.body, s.good)
		}},
	}
	for _, s := range sides() {
		for _, tt := range tests {
			t.Run(s.name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				_, url := serve(t)
				fault := tt.fault
				fault.Times = 0
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				o := s.call(t, ctx, url, fault)
				if !tt.check(s, o) {
					t.Errorf("client saw status %d, %d bytes %.300q, send error %v, read error %v, header %.300q",
						o.status, len(o.body), o.body, o.sendErr, o.readErr, fmt.Sprint(o.header))
				}
			})
		}
	}
}

func contentType(s side) string {
	if s.name == "stream" {
		return "text/event-stream"
	}
	return "application/json"
}

func TestFaultsPassAfterTheirTimes(t *testing.T) {
	t.Parallel()
	p := mock.Plan{
		Seed: 5, Rounds: 2, Width: 2,
		ModelFaults: []mock.Fault{{Round: 1, Times: 1, Status: 429}, {Round: 1, Times: 3, Status: 500}},
		ToolFaults:  []mock.Fault{{Round: 0, Index: 1, Times: 2, Status: 503}, {Round: 1, Index: -1, Status: 400}},
	}
	_, url := serve(t)
	l := newLoop(t, url, p.Prompt())
	calls := l.model().Choices[0].Message.ToolCalls
	statuses := func(path string, body any, n int, headers ...string) string {
		var got []string
		for range n {
			status, answer, err := l.read(path, body, headers...)
			if err != nil {
				t.Fatalf("call %s: %v, %s", path, err, answer)
			}
			got = append(got, fmt.Sprint(status))
		}
		return strings.Join(got, " ")
	}
	if got, want := statuses("/tools/mock_echo", calls[0].Function.Arguments, 2), "200 200"; got != want {
		t.Errorf("tool without fault answered %s, want %s", got, want)
	}
	for _, key := range []string{"one", "two"} { // attempts are counted for each key
		if got, want := statuses("/tools/mock_echo", calls[1].Function.Arguments, 4, "Idempotency-Key", key), "503 503 200 200"; got != want {
			t.Errorf("tool under key %s answered %s, want %s", key, got, want)
		}
	}
	l.messages = append(l.messages, object{"role": "assistant", "tool_calls": calls},
		object{"role": "tool", "tool_call_id": calls[0].ID, "content": "a"}, object{"role": "tool", "tool_call_id": calls[1].ID, "content": "b"})
	if got, want := statuses("/v1/chat/completions", l.request(), 5), "429 500 500 200 200"; got != want {
		t.Errorf("model in round 1 answered %s, want %s", got, want)
	}
	l.messages, l.rounds = l.messages[:2], 0
	if got, want := l.run(), p.AnswerIf(func(r, i int) bool { return r == 1 || i == 1 }); got != want {
		t.Errorf("run says %q, want %q", got, want)
	}
}

func TestSpoiledResultsStillCount(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Seed: 6, Rounds: 1, Width: 4, ToolFaults: []mock.Fault{
		{Index: 0, Mode: "nul"}, {Index: 1, Mode: "big", Bytes: 50_000}, {Index: 2, Mode: "html"}, {Index: 3, Mode: "truncate"},
	}}
	if got, want := newLoop(t, url, p.Prompt()).run(), p.AnswerIf(func(_, i int) bool { return i >= 2 }); got != want {
		t.Errorf("run says %q, want %q", got, want)
	}
}
