package mock_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
