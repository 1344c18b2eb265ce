package behaviour

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/test/stack"
)

// forms are answers of one text in the forms that servers send, whatever the
// request asked for.
var forms = func() []string {
	const (
		whole = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello €"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10.0,"completion_tokens":"5"}}`
		one   = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hello "}}]}`
		two   = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"€"}}]}`
		last  = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
		usage = `{"id":"c","object":"chat.completion.chunk","usage":{"prompt_tokens":10,"completion_tokens":5}}`
	)
	events := func(line, end string) string {
		return line + one + end + line + two + end + line + last + end + line + usage + end
	}
	return []string{
		events("data: ", "\n\n") + "data: [DONE]\n\n", events("data:", "\r\n\r\n"), events("data: ", "\n") + "data: [DONE]", events("", "\n"),
		": keep-alive\n\n" + events("event: x\ndata: ", "\n\n"), whole, "\ufeff\n" + whole + "\n", whole + "\n\ndata: [DONE]\n\n", "data: " + whole + "\n\ndata: [DONE]\n\n",
	}
}()

var formNumber = regexp.MustCompile(`form-([0-9]+)-type-([a-z/-]*)!`)

// formServer answers with the form and the type that a request names.
func formServer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	found := formNumber.FindSubmatch(body)
	if found == nil || r.URL.Path != "/v1/chat/completions" || r.URL.RawQuery != "api-version=1" {
		http.Error(w, "no form: "+r.URL.String(), http.StatusBadRequest)
		return
	}
	n, _ := strconv.Atoi(string(found[1]))
	w.Header()["Content-Type"] = []string{string(found[2])}
	_, _ = io.WriteString(w, forms[n])
}

// TestForms holds that a client gets what it asked for, a whole answer or a
// stream, for every form of the upstream's answer.
func TestForms(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(formServer))
	t.Cleanup(upstream.Close)
	s := stack.Start(t, func(file *registry.File, _ string) {
		m := file.Models[0]
		m.Name, m.Attempts = "org/group/forms", 1
		m.Upstream = registry.Upstream{URL: upstream.URL + "//v1/chat/completions/?api-version=1"}
		file.Models = append(file.Models, m)
	})
	for n := range forms {
		for _, media := range []string{"application/json", "text/event-stream", "text/plain", ""} {
			name := "form-" + strconv.Itoa(n) + "-type-" + media + "!"
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wholeResponse(t, s, name)
				streamedResponse(t, s, name)
				wholeChat(t, s, name)
				streamedChat(t, s, name)
			})
		}
	}
}

func wholeResponse(t *testing.T, s *stack.Stack, prompt string) {
	status, body := s.Do(t, http.MethodPost, "/v1/responses", []byte(`{"model":"org/group/forms","input":"`+prompt+`"}`))
	if status != http.StatusOK || !strings.Contains(string(body), `"text":"hello €"`) || !strings.Contains(string(body), `"input_tokens":10,`) {
		t.Errorf("a response: %d %s", status, body)
	}
}

func streamedResponse(t *testing.T, s *stack.Stack, prompt string) {
	_, _, raw := s.Send(t, http.MethodPost, "/v1/responses", []byte(`{"model":"org/group/forms","stream":true,"input":"`+prompt+`"}`))
	_, end, ok := strings.Cut(string(raw), `{"type":"response.completed"`)
	if !ok || !strings.Contains(end, `"text":"hello €"`) || !strings.HasSuffix(end, "data: [DONE]\n\n") {
		t.Errorf("a streamed response: %s", raw)
	}
}

func wholeChat(t *testing.T, s *stack.Stack, prompt string) {
	status, body := s.Do(t, http.MethodPost, "/v1/chat/completions", []byte(`{"model":"org/group/forms","messages":[{"role":"user","content":"`+prompt+`"}]}`))
	var c struct {
		Object, Model string
		Choices       []struct {
			Message struct{ Role, Content string }
			Finish  string `json:"finish_reason"`
		}
		Usage map[string]any
	}
	if err := json.Unmarshal(body, &c); err != nil || status != http.StatusOK || c.Object != "chat.completion" || c.Model != "org/group/forms" || len(c.Choices) != 1 ||
		c.Choices[0].Message.Role != "assistant" || c.Choices[0].Message.Content != "hello €" || c.Choices[0].Finish != "stop" || c.Usage["prompt_tokens"] != 10.0 {
		t.Errorf("a chat completion: %d %s", status, body)
	}
}

func streamedChat(t *testing.T, s *stack.Stack, prompt string) {
	_, _, raw := s.Send(t, http.MethodPost, "/v1/chat/completions",
		[]byte(`{"model":"org/group/forms","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"`+prompt+`"}]}`))
	frames := data(t, raw)
	text, finish, used := "", "", false
	for _, f := range frames[:len(frames)-1] {
		var c struct {
			Object, Model string
			Choices       []struct {
				Delta  struct{ Content string }
				Finish string `json:"finish_reason"`
			}
			Usage map[string]any
		}
		if err := json.Unmarshal([]byte(f), &c); err != nil || c.Object != "chat.completion.chunk" || c.Model != "org/group/forms" || c.Choices == nil {
			t.Errorf("a chunk is %s", f)
		}
		for _, choice := range c.Choices {
			text += choice.Delta.Content
			finish += choice.Finish
		}
		used = used || c.Usage["prompt_tokens"] == 10.0
	}
	if text != "hello €" || finish != "stop" || !used || frames[len(frames)-1] != "[DONE]" {
		t.Errorf("a streamed chat completion: %s", raw)
	}
}
