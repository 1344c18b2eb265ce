package mock_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

type object = map[string]any

// loop is a client that runs the model-tools-model loop by the book, over HTTP.
type loop struct {
	t        testing.TB
	url      string
	client   *http.Client
	stream   bool
	messages []object
	rounds   int
	last     completion
}

type completion struct {
	Choices []struct {
		Message struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
			ToolCalls []call `json:"tool_calls"`
		} `json:"message"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage usage `json:"usage"`
}

type call struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

func serve(t testing.TB, options ...mock.Option) (*mock.Server, string) {
	t.Helper()
	s := mock.New(options...)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(s.Close)
	return s, server.URL
}

func newLoop(t testing.TB, url, prompt string) *loop {
	transport := &http.Transport{DisableKeepAlives: false}
	t.Cleanup(transport.CloseIdleConnections)
	return &loop{
		t: t, url: url, messages: []object{{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}},
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second},
	}
}

func (l *loop) post(path string, body any, headers ...string) (*http.Response, error) {
	l.t.Helper()
	raw, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			l.t.Fatalf("encode body: %v", err)
		}
		raw = string(encoded)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.url+path, strings.NewReader(raw))
	if err != nil {
		l.t.Fatalf("make request: %v", err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return l.client.Do(req)
}

// read is a whole exchange: status, body, and the error of either step.
func (l *loop) read(path string, body any, headers ...string) (int, string, error) {
	l.t.Helper()
	resp, err := l.post(path, body, headers...)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

func (l *loop) request() object {
	return object{
		"messages": l.messages, "model": "mock", "stream": l.stream,
		"stream_options": object{"include_usage": true}, "tools": []object{},
	}
}

// model makes one model call, which must succeed.
func (l *loop) model() completion {
	l.t.Helper()
	status, body, err := l.read("/v1/chat/completions", l.request())
	if err != nil || status != http.StatusOK {
		l.t.Fatalf("model answered %d %q, error %v", status, body, err)
	}
	if l.stream {
		l.last = joinStream(l.t, body)
	} else {
		l.last = completion{}
		if err := json.Unmarshal([]byte(body), &l.last); err != nil {
			l.t.Fatalf("read completion %q: %v", body, err)
		}
	}
	return l.last
}

// run goes on until the model asks for no tool and returns its text. Each call
// gets an id of its own, as the loop under test gives it.
func (l *loop) run() string {
	l.t.Helper()
	for range 50 {
		turn := l.model().Choices[0].Message
		if len(turn.ToolCalls) == 0 {
			return turn.Content
		}
		outputs := make([]object, len(turn.ToolCalls))
		for i := range turn.ToolCalls {
			c := &turn.ToolCalls[i]
			c.ID = fmt.Sprintf("own_%d_%d", l.rounds, i)
			_, body, err := l.read("/tools/"+c.Function.Name, c.Function.Arguments, "Idempotency-Key", "key-"+c.ID)
			if err != nil {
				body = "failed: " + err.Error()
			}
			outputs[i] = object{"role": "tool", "tool_call_id": c.ID, "content": body}
		}
		l.messages = append(l.messages, object{"role": "assistant", "content": nil, "tool_calls": turn.ToolCalls})
		l.messages = append(l.messages, outputs...)
		l.rounds++
	}
	l.t.Fatal("the model did not finish in 50 rounds")
	return ""
}

// joinStream reads a stream as a client would and returns the completion it
// adds up to.
func joinStream(t testing.TB, body string) completion {
	t.Helper()
	var whole completion
	whole.Choices = make([]struct {
		Message struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
			ToolCalls []call `json:"tool_calls"`
		} `json:"message"`
		FinishReason string `json:"finish_reason"`
	}, 1)
	into := &whole.Choices[0]
	done := false
	lines := bufio.NewScanner(strings.NewReader(body))
	lines.Buffer(nil, 32<<20)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		if done || !isData {
			if lines.Text() != "" {
				t.Fatalf("stream has the line %q", lines.Text())
			}
			continue
		}
		if done = data == "[DONE]"; done {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   string `json:"content"`
					Reasoning string `json:"reasoning_content"`
					ToolCalls []struct {
						Index int `json:"index"`
						call
					} `json:"tool_calls"`
				} `json:"delta"`
				FinishReason string `json:"finish_reason"`
			} `json:"choices"`
			Usage *usage `json:"usage"`
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("read chunk %q: %v", data, err)
		}
		if chunk.Usage != nil {
			whole.Usage = *chunk.Usage
		}
		for _, choice := range chunk.Choices {
			into.Message.Content += choice.Delta.Content
			into.Message.Reasoning += choice.Delta.Reasoning
			into.FinishReason = choice.FinishReason
			for _, part := range choice.Delta.ToolCalls {
				if part.Index == len(into.Message.ToolCalls) {
					into.Message.ToolCalls = append(into.Message.ToolCalls, part.call)
					continue
				}
				into.Message.ToolCalls[part.Index].Function.Arguments += part.Function.Arguments
			}
		}
	}
	if !done {
		t.Fatalf("stream has no [DONE]: %q", body)
	}
	return whole
}

func TestRunEndsWithThePlansAnswer(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]mock.Plan{
		"no tools":            {Seed: 1},
		"one tool":            {Seed: 2, Rounds: 1},
		"3 rounds of 5":       {Seed: 3, Rounds: 3, Width: 5},
		"long answer":         {Seed: 4, Rounds: 1, Width: 2, Tokens: 500},
		"own text":            {Seed: 5, Rounds: 1, Text: "That is “all”.\nOr\tnot."},
		"large results":       {Seed: 6, Rounds: 1, Width: 2, ToolBytes: 100_000},
		"duplicate ids":       {Seed: 7, Rounds: 2, Width: 3, CallIDs: "dup"},
		"empty ids":           {Seed: 8, Rounds: 2, Width: 3, CallIDs: "empty"},
		"ids used again":      {Seed: 9, Rounds: 2, Width: 3, CallIDs: "reuse"},
		"arguments no JSON":   {Seed: 10, Rounds: 1, Width: 2, RawArguments: "{oops"},
		"arguments of no use": {Seed: 11, Rounds: 1, Width: 2, RawArguments: "{}"},
		"empty arguments":     {Seed: 12, Rounds: 1, Width: 2, EmptyArguments: true},
		"reasoning":           {Seed: 13, Rounds: 1, Reasoning: "let me think"},
		"other tools":         {Seed: 14, Rounds: 1, Width: 3, Tools: []string{"one", "two"}},
		"slow ones":           {Seed: 15, Rounds: 2, Width: 2, SlowEvery: 2, SlowMS: 5, ToolMS: 1, ThinkMS: 1},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				t.Parallel()
				_, url := serve(t)
				l := newLoop(t, url, "Do it. "+p.Prompt())
				l.stream = stream
				if got, want := l.run(), p.Answer(); got != want {
					t.Errorf("final text is %q, want %q", got, want)
				}
				if l.rounds != p.Rounds {
					t.Errorf("run took %d rounds, want %d", l.rounds, p.Rounds)
				}
				if got := l.last.Choices[0].Message.Reasoning; got != p.Reasoning {
					t.Errorf("reasoning is %q, want %q", got, p.Reasoning)
				}
				raw, _ := json.Marshal(l.messages)
				want := usage{Prompt: len(raw) / 4, Completion: len(strings.Fields(p.Answer())) + len(strings.Fields(p.Reasoning))}
				if diff := cmp.Diff(want, l.last.Usage); diff != "" {
					t.Errorf("usage of the last call (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestStreamIsTheSameTurn(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for _, p := range []mock.Plan{
		{Seed: 1, Rounds: 1, Width: 3, Reasoning: "why not"},
		{Seed: 2, Tokens: 2000, FinishReason: "content_filter"},
		{Seed: 3, Text: "é \x00 “two  spaces” \n\ndata: [DONE]\n\n"},
		{Seed: 4, Tokens: 30, TokenRate: 2000},
	} {
		plain, streamed := newLoop(t, url, p.Prompt()), newLoop(t, url, p.Prompt())
		streamed.stream = true
		want, got := plain.model(), streamed.model()
		got.Usage.Prompt = want.Usage.Prompt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d: streamed turn differs (-plain +streamed):\n%s", p.Seed, diff)
		}
	}
}

func TestStreamKeepsItsRate(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	l := newLoop(t, url, mock.Plan{Tokens: 20, TokenRate: 100}.Prompt())
	l.stream = true
	resp, err := l.post("/v1/chat/completions", l.request())
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatalf("read first byte: %v", err)
	}
	arrived := time.Now()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("read rest: %v", err)
	}
	if rest := time.Since(arrived); rest < 100*time.Millisecond {
		t.Errorf("20 tokens at 100/s: all came within %v of the first, want about 200ms", rest)
	}
}

func TestPlanShapesTheCalls(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	ask := func(p mock.Plan) (ids, names []string, finish string) {
		turn := newLoop(t, url, p.Prompt()).model().Choices[0]
		for _, c := range turn.Message.ToolCalls {
			ids, names = append(ids, c.ID), append(names, c.Function.Name)
		}
		return ids, names, turn.FinishReason
	}
	for _, tt := range []struct {
		name       string
		plan       mock.Plan
		ids, names []string
		finish     string
	}{
		{"plain", mock.Plan{Seed: 9, Rounds: 1, Width: 2}, []string{"call_9_0_0", "call_9_0_1"}, []string{"mock_echo", "mock_echo"}, "tool_calls"},
		{"dup", mock.Plan{Seed: 9, Rounds: 1, Width: 2, CallIDs: "dup"}, []string{"call_9_0", "call_9_0"}, []string{"mock_echo", "mock_echo"}, "tool_calls"},
		{"empty", mock.Plan{Rounds: 1, CallIDs: "empty"}, []string{""}, []string{"mock_echo"}, "tool_calls"},
		{"reuse", mock.Plan{Rounds: 1, CallIDs: "reuse"}, []string{"call_0"}, []string{"mock_echo"}, "tool_calls"},
		{"unknown", mock.Plan{Rounds: 1, Width: 2, UnknownTool: "nope", Tool: "x"}, []string{"call_0_0_0", "call_0_0_1"}, []string{"nope", "x"}, "tool_calls"},
		{"loop", mock.Plan{Loop: true}, []string{"call_0_0_0"}, []string{"mock_echo"}, "tool_calls"},
		{"cut", mock.Plan{Rounds: 1, CutToolCalls: true}, []string{"call_0_0_0"}, []string{"mock_echo"}, "length"},
		{"cycle", mock.Plan{Rounds: 1, Width: 3, Tools: []string{"x", "y"}, CallIDs: "reuse"}, []string{"call_0", "call_1", "call_2"}, []string{"x", "y", "x"}, "tool_calls"},
	} {
		ids, names, finish := ask(tt.plan)
		if diff := cmp.Diff([]any{tt.ids, tt.names, tt.finish}, []any{ids, names, finish}); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", tt.name, diff)
		}
	}
	p := mock.Plan{Rounds: 1, CutToolCalls: true}
	if arguments := newLoop(t, url, p.Prompt()).model().Choices[0].Message.ToolCalls[0].Function.Arguments; json.Valid([]byte(arguments)) {
		t.Errorf("cut arguments are still whole: %q", arguments)
	}
}

func TestPlanSetsToolTimeAndSize(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Rounds: 1, Width: 4, ToolMS: 1, SlowEvery: 3, SlowMS: 60, ToolBytes: 3000}
	l := newLoop(t, url, p.Prompt())
	for i, c := range l.model().Choices[0].Message.ToolCalls {
		started := time.Now()
		_, body, err := l.read("/tools/"+c.Function.Name, c.Function.Arguments)
		if err != nil || len(body) != 3000 || !json.Valid([]byte(body)) {
			t.Errorf("call %d gave %d bytes %.60q, error %v, want 3000 of JSON", i, len(body), body, err)
		}
		if took := time.Since(started); i == 2 && took < 60*time.Millisecond {
			t.Errorf("slow call took %v, want at least 60ms", took)
		}
		if slow := strings.Contains(c.Function.Arguments, `"ms":60,`); slow != (i == 2) {
			t.Errorf("call %d has the arguments %s", i, c.Function.Arguments)
		}
	}
}

func TestUnknownToolIsAskedForInRoundOne(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	p := mock.Plan{Seed: 1, Rounds: 2, Width: 2, UnknownTool: "nope"}
	newLoop(t, url, p.Prompt()).run() // this client calls it all the same
	for _, e := range s.Ledger() {
		if unknown := e.Round == 1 && e.Index == 0; e.Kind == "tool" && (e.Tool == "nope") != unknown {
			t.Errorf("round %d index %d called %q", e.Round, e.Index, e.Tool)
		}
	}
}

func TestSubAgentsAnswerTheirParent(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Seed: 3, Rounds: 1, Width: 3, Tool: "helper", Child: &mock.Plan{Rounds: 1, Width: 2}}
	parent := newLoop(t, url, p.Prompt())
	turn := parent.model().Choices[0].Message
	parent.messages = append(parent.messages, object{"role": "assistant", "tool_calls": turn.ToolCalls})
	texts := map[string]bool{}
	for _, c := range turn.ToolCalls {
		var arguments struct{ Input string }
		if err := json.Unmarshal([]byte(c.Function.Arguments), &arguments); err != nil {
			t.Fatalf("read arguments %q: %v", c.Function.Arguments, err)
		}
		text := newLoop(t, url, arguments.Input).run()
		texts[text] = true
		parent.messages = append(parent.messages, object{"role": "tool", "tool_call_id": c.ID, "content": text})
	}
	if len(texts) != 3 {
		t.Errorf("3 sub-agents gave %d different answers: %v", len(texts), texts)
	}
	if got, want := parent.run(), p.Answer(); got != want {
		t.Errorf("parent says %q, want %q", got, want)
	}
}

func TestBrokenConversationsAreRefused(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Seed: 1, Rounds: 1, Width: 2}
	user := object{"role": "user", "content": p.Prompt()}
	calls := func(ids ...string) object {
		var list []object
		for _, id := range ids {
			list = append(list, object{"id": id, "type": "function", "function": object{"name": "mock_echo", "arguments": "{}"}})
		}
		return object{"role": "assistant", "tool_calls": list}
	}
	output := func(id string) object { return object{"role": "tool", "tool_call_id": id, "content": "x"} }
	for name, tt := range map[string]struct {
		messages []object
		want     string
	}{
		"missing output":     {[]object{user, calls("a", "b"), output("a")}, "No tool output found for function call b."},
		"wrong id":           {[]object{user, calls("a", "b"), output("a"), output("c")}, "No tool call found for function call output with call_id c."},
		"twice":              {[]object{user, calls("a", "b"), output("a"), output("b"), output("a")}, "Duplicate tool output for function call a."},
		"before its call":    {[]object{user, output("a"), calls("a")}, "No tool call found for function call output with call_id a."},
		"after another turn": {[]object{user, calls("a", "b"), output("a"), user, output("b")}, "No tool output found for function call b."},
		"one id for two":     {[]object{user, calls("a", "a"), output("a")}, "Duplicate tool call id a."},
		"no id":              {[]object{user, calls("a", ""), output("a")}, "Missing id of tool call 1."},
		"more than asked":    {[]object{user, calls("a", "b", "c"), output("a"), output("b"), output("c")}, "Round 0 has 3 tool calls, the model made 2."},
		"no plan":            {[]object{{"role": "user", "content": "hello"}}, "needs a plan"},
		"broken plan":        {[]object{{"role": "user", "content": `plan: {"seed":`}}, "needs a plan"},
	} {
		l := newLoop(t, url, "")
		l.messages = tt.messages
		status, body, err := l.read("/v1/chat/completions", l.request())
		if err != nil || status != http.StatusBadRequest || !strings.Contains(body, tt.want) || !strings.Contains(body, `"invalid_request_error"`) {
			t.Errorf("%s: got %d %s (error %v), want 400 with %q", name, status, body, err, tt.want)
		}
	}
	for _, body := range []string{"", "{", "[]", `{"messages":[]}`, `{"model":"m","messages":5}`} {
		if status, answer, err := newLoop(t, url, "").read("/v1/chat/completions", body); err != nil || status != http.StatusBadRequest {
			t.Errorf("body %q: got %d %s (error %v), want 400", body, status, answer, err)
		}
	}
}

func TestPlanIsFoundInPartsAndAfterEarlierTurns(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	first, second := mock.Plan{Seed: 1, Rounds: 1}, mock.Plan{Seed: 2, Rounds: 2, Width: 2}
	l := newLoop(t, url, first.Prompt())
	l.messages = append(l.messages, object{"role": "assistant", "content": l.run()})
	l.messages = append(l.messages, object{"role": "user", "content": []object{
		{"type": "text", "text": "And now "}, {"type": "text", "text": second.Prompt()},
	}})
	l.rounds = 0
	if got, want := l.run(), second.Answer(); got != want || l.rounds != 2 {
		t.Errorf("second turn says %q after %d rounds, want %q after 2", got, l.rounds, want)
	}
}

func TestToolSchemaFitsTheArguments(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal([]byte(mock.ToolSchema), &schema); err != nil {
		t.Fatalf("schema is no JSON: %v", err)
	}
	p := mock.Plan{Rounds: 1, ToolFaults: []mock.Fault{{Times: 1, Status: 503}}}
	arguments := newLoop(t, url, p.Prompt()).model().Choices[0].Message.ToolCalls[0].Function.Arguments
	var sent map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(arguments)))
	if err := decoder.Decode(&sent); err != nil {
		t.Fatalf("arguments %q are no JSON: %v", arguments, err)
	}
	for name := range sent {
		if _, known := schema.Properties[name]; !known {
			t.Errorf("argument %q is not in the schema", name)
		}
	}
	for _, name := range schema.Required {
		if _, there := sent[name]; !there {
			t.Errorf("arguments %s lack %q", arguments, name)
		}
	}
}
