package behaviour

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// chatBody returns a streamed request of the plan.
func chatBody(tb testing.TB, model string, plan mock.Plan, more stack.Fields) []byte {
	tb.Helper()
	fields := stack.Fields{"model": model, "messages": []stack.Fields{{"role": "user", "content": plan.Prompt()}}, "stream": true}
	for name, value := range more {
		fields[name] = value
	}
	body, err := json.Marshal(fields)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// data returns the contents of a stream's frames, which have nothing else.
func data(tb testing.TB, raw []byte) []string {
	tb.Helper()
	var all []string
	for frame := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n\n"), "\n\n") {
		text, ok := strings.CutPrefix(frame, "data: ")
		if !ok || strings.Contains(text, "\n") {
			tb.Fatalf("%q is no frame of one line: %s", frame, excerpt(raw))
		}
		all = append(all, text)
	}
	return all
}

// direct returns the mock's stream for a request.
func direct(tb testing.TB, s *stack.Stack, body []byte) []byte {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, s.MockURL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// streamedCalls compares bytes: a stream through Windlass equals the upstream's
// stream with usage.
func streamedCalls(t *testing.T, s *stack.Stack) {
	usage := stack.Fields{"stream_options": stack.Fields{"include_usage": true}}
	for i, plan := range []mock.Plan{
		{Text: "one two three"},
		{Reasoning: "let me think", Tokens: 50},
		{Rounds: 1, Width: 3},
		{Text: strings.Repeat("x", 600_000)},
		{Text: "cut", FinishReason: "length"},
		{Text: "slow and steady", TokenRate: 20},
	} {
		for _, wanted := range []bool{true, false} {
			plan.Seed = int64(9700 + 2*i)
			if wanted {
				plan.Seed++
			}
			want := data(t, direct(t, s, chatBody(t, "patient", plan, usage)))
			more := usage
			if !wanted {
				more = nil
				want = slices.Delete(want, len(want)-2, len(want)-1) // the chunk of the usage
			}
			before := len(s.Calls("model", plan.Seed))
			status, header, raw := s.Send(t, http.MethodPost, "/v1/chat/completions", chatBody(t, "patient", plan, more))
			if status != http.StatusOK {
				t.Fatalf("answered %d %s", status, raw)
			}
			if diff := cmp.Diff(want, data(t, raw)); diff != "" {
				t.Errorf("plan %d, usage wanted: %v: the stream (-upstream +client):\n%s", i, wanted, diff)
			}
			calls := s.Calls("model", plan.Seed)[before:]
			steps := s.CallSteps(t, header)
			if len(calls) != 1 || len(steps) != 1 || steps[0].Usage.Input == 0 || steps[0].Usage.Output != int64(calls[0].CompletionTokens) {
				t.Errorf("plan %d: the calls are %+v, the steps %+v; want one with its usage counted", i, calls, steps)
			}
		}
	}
}

// archivedCalls holds that the chunks of a complete stream are kept as long as
// the request, and those of a failed stream are not.
func archivedCalls(t *testing.T, s *stack.Stack) {
	db, err := postgres.Open(postgres.Config{URL: s.DatabaseURL, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	st := answers.New(db)
	for _, plan := range []mock.Plan{
		{Seed: 9780, Text: "one two three"}, {Seed: 9781, Text: "one two three", ModelFaults: []mock.Fault{{Mode: "truncate", Times: 1}}},
	} {
		_, header, raw := s.Send(t, http.MethodPost, "/v1/chat/completions", chatBody(t, "mock", plan, nil))
		id, err := run.ParseHex(strings.TrimPrefix(header.Get("Windlass-Request-Id"), "req_"))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the after-work", func() bool {
			a, err := st.Read(t.Context(), "default", id)
			return err == nil && a.Status.Terminal() && !a.Live
		})
		archive, err := st.Events(t.Context(), "default", id)
		if plan.ModelFaults != nil {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%d bytes are kept of a stream that failed, %v", len(archive), err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		err = livestream.Read(archive, func(e event.Event) error {
			kept = append(kept, string(e.Data))
			return nil
		})
		if diff := cmp.Diff(append(kept, "[DONE]"), data(t, raw)); diff != "" || err != nil {
			t.Errorf("%v; the stream (-kept +sent):\n%s", err, diff)
		}
	}
}

// streamedFailures holds that a stream fails like any call until its first
// chunk; after it, the client gets an error chunk.
func streamedFailures(t *testing.T, s *stack.Stack) {
	const twice = 2
	const broken = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
	for i, tt := range []struct {
		name   string
		fault  mock.Fault
		status int
		code   string // of the error
		late   bool   // the error comes as a chunk
		calls  int
	}{
		{"400", mock.Fault{Status: 400, Body: `{"error":{"message":"Too long.","type":"t","param":"p","code":"context_length_exceeded"}}`}, 400, "context_length_exceeded", false, 1},
		{"401", mock.Fault{Status: 401}, 502, "upstream_unauthorized", false, 1},
		{"429 always", mock.Fault{Status: 429}, 429, "rate_limit_exceeded", false, 3},
		{"429 twice", mock.Fault{Status: 429, Times: twice}, 200, "", false, 3},
		{"500 always", mock.Fault{}, 502, "server_error", false, 3},
		{"500 twice", mock.Fault{Times: twice}, 200, "", false, 3},
		{"hangs always", mock.Fault{Mode: "hang"}, 504, "timeout", false, 3},
		{"malformed always", mock.Fault{Mode: "malformed"}, 502, "server_error", false, 3},
		{"no choices always", mock.Fault{Mode: "empty"}, 502, "server_error", false, 3},
		{"a page", mock.Fault{Mode: "html", Times: twice}, 200, "", false, 3},
		{"breaks off", mock.Fault{Mode: "truncate", Times: 1}, 200, "connection_error", true, 1},
		{"resets", mock.Fault{Mode: "reset", Bytes: 500, Times: 1}, 200, "connection_error", true, 1},
		{"an error in the middle", mock.Fault{Status: 200, Times: 1, Body: broken + "data: {\"error\":{\"message\":\"Out of memory.\",\"type\":\"oom\",\"code\":500}}\n\n"}, 200, "server_error", true, 1},
		{"the request's fault in the middle", mock.Fault{Status: 200, Times: 1, Body: broken + "data: {\"error\":{\"message\":\"Filtered.\",\"type\":\"t\",\"code\":400}}\n\n"}, 200, "400", true, 1},
		{"an error at the start", mock.Fault{Status: 200, Times: twice, Body: "data: {\"error\":{\"message\":\"Busy.\",\"code\":503}}\n\n"}, 200, "", false, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9800 + i), Text: "one two three four", ModelFaults: []mock.Fault{tt.fault}}
			status, header, raw := s.Send(t, http.MethodPost, "/v1/chat/completions", chatBody(t, "mock", plan, nil))
			if status != tt.status {
				t.Fatalf("answered %d %s, want %d", status, raw, tt.status)
			}
			switch {
			case status != http.StatusOK:
				if e := envelope(t, raw); e.Code != tt.code {
					t.Errorf("the error is %+v, want %s", e, tt.code)
				}
			case tt.late:
				frames := data(t, raw)
				if n := len(frames); n < 3 || frames[n-1] != "[DONE]" || envelope(t, []byte(frames[n-2])).Code != tt.code {
					t.Errorf("the stream is %q, want chunks, an error by %s and the end", frames, tt.code)
				}
			default:
				if frames := data(t, raw); frames[len(frames)-1] != "[DONE]" || strings.Contains(string(raw), `"error"`) {
					t.Errorf("the stream is %q, want it whole", frames)
				}
			}
			if calls := len(s.Calls("model", plan.Seed)); calls != tt.calls {
				t.Errorf("the model was called %d times, want %d", calls, tt.calls)
			}
			failed := status != http.StatusOK || tt.late
			if steps := s.CallSteps(t, header); len(steps) != 1 || (steps[0].State == "failed") != failed {
				t.Errorf("the steps are %+v", steps)
			}
		})
	}
}

// streamedHungUp holds that a client that leaves in the middle of a stream ends
// the upstream's call.
func streamedHungUp(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9900, Tokens: 1000, TokenRate: 10}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/chat/completions", bytes.NewReader(chatBody(t, "mock", plan, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: {") {
		t.Fatalf("read %q, %v; want a chunk while the others are to come", line, err)
	}
	hangUp()
	eventually(t, "the end of the model's call", func() bool {
		calls := s.Calls("model", plan.Seed)
		return len(calls) == 1 && calls[0].Aborted
	})
}

// streamedElsewhere streams from the legacy endpoint, whose chunks are
// different.
func streamedElsewhere(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9950, Text: "one two"}
	status, header, raw := ask(t, s, "/v1/completions", stack.Fields{"model": "mock", "prompt": plan.Prompt(), "stream": true})
	text := ""
	for _, chunk := range data(t, raw) {
		var c struct{ Choices []struct{ Text string } }
		if json.Unmarshal([]byte(chunk), &c) == nil && len(c.Choices) == 1 {
			text += c.Choices[0].Text
		}
	}
	if status != http.StatusOK || text != plan.Text || !bytes.HasSuffix(raw, []byte("data: [DONE]\n\n")) {
		t.Errorf("answered %d %q, want %q", status, raw, plan.Text)
	}
	if steps := s.CallSteps(t, header); len(steps) != 1 || steps[0].Usage.Output != 2 {
		t.Errorf("the steps are %+v", steps)
	}
}
