//go:build realmodel

package realmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

var models = []string{llamaChat, llamaResponses, pythonChat}

func TestResponses(t *testing.T) {
	t.Parallel()
	for _, model := range models {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			r := create(t, object{
				"model": model, "instructions": "You are brief.", "input": "Name a colour.",
				"max_output_tokens": 24, "temperature": 0,
			})
			ended(t, r)
			if r.text() == "" || r.Usage.Input == 0 || r.Usage.Output == 0 {
				t.Errorf("the response says %q with usage %+v", r.text(), r.Usage)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	for _, model := range models {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			r, deltas := stream(t, object{"model": model, "input": "Count to five.", "max_output_tokens": 32, "temperature": 0})
			ended(t, r)
			if deltas < 3 || r.text() == "" {
				t.Errorf("%d deltas came, and the text is %q", deltas, r.text())
			}
		})
	}
}

// Small chat templates refuse these roles and shapes: developer messages in the
// middle, two user messages in a row, an empty assistant message.
func TestHistoriesOfEveryShape(t *testing.T) {
	t.Parallel()
	message := func(role, text string) object { return object{"type": "message", "role": role, "content": text} }
	for name, input := range map[string][]object{
		"developer and system":     {message("developer", "Be brief."), message("system", "Be kind."), message("user", "Hi.")},
		"developer in the middle":  {message("user", "Hi."), message("developer", "Be brief."), message("user", "Go on.")},
		"two of the user in a row": {message("user", "Hi."), message("user", "Name a fruit.")},
		"an assistant's empty one": {message("user", "Hi."), message("assistant", ""), message("user", "Name a fruit.")},
		"assistant last":           {message("user", "Hi."), message("assistant", "Hello, I")},
		"calls and their outputs": {
			message("user", "Weather?"),
			{"type": "function_call", "call_id": "c1", "name": "w", "arguments": "{}"},
			{"type": "function_call_output", "call_id": "c1", "output": "sunny"},
			message("user", "Thanks. And now?"),
		},
	} {
		for _, model := range models {
			t.Run(name+"/"+model, func(t *testing.T) {
				t.Parallel()
				r := create(t, object{
					"model": model, "instructions": "You speak English.", "input": input, "max_output_tokens": 16, "temperature": 0,
				})
				ended(t, r)
			})
		}
	}
}

func TestContinuedResponses(t *testing.T) {
	t.Parallel()
	for _, model := range models {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			first := create(t, object{"model": model, "input": "My name is Ada.", "max_output_tokens": 16, "temperature": 0})
			ended(t, first)
			second := create(t, object{
				"model": model, "previous_response_id": first.ID, "input": "What is my name?",
				"max_output_tokens": 16, "temperature": 0,
			})
			ended(t, second)
			if second.Usage.Input <= first.Usage.Input {
				t.Errorf("the second request has %d tokens and the first %d: the history is missing",
					second.Usage.Input, first.Usage.Input)
			}
		})
	}
}

// A schema becomes a grammar in llama-server's chat completions. Its Responses
// API ignores text.format; llama-cpp-python accepts json_object only, with an
// error for other formats.
func TestStructuredOutput(t *testing.T) {
	t.Parallel()
	schema := object{"type": "json_schema", "name": "city", "strict": true, "schema": object{
		"type": "object",
		"properties": object{
			"city": object{"type": "string"}, "size": object{"type": "string", "enum": []string{"small", "large"}},
		},
		"required":             []string{"city", "size"},
		"additionalProperties": false,
	}}
	ask := func(model string, format object) object {
		return object{
			"model": model, "input": "Describe Paris in JSON.", "max_output_tokens": 120, "temperature": 0,
			"text": object{"format": format},
		}
	}
	t.Run(llamaChat, func(t *testing.T) {
		t.Parallel()
		r := create(t, ask(llamaChat, schema))
		var city struct{ City, Size string }
		if err := json.Unmarshal([]byte(r.text()), &city); err != nil || city.Size != "small" && city.Size != "large" {
			t.Errorf("the text %q does not fit the schema: %v", r.text(), err)
		}
		streamed, _ := stream(t, ask(llamaChat, schema))
		if err := json.Unmarshal([]byte(streamed.text()), &city); err != nil {
			t.Errorf("the streamed text %q does not fit the schema: %v", streamed.text(), err)
		}
	})
	t.Run(llamaResponses, func(t *testing.T) {
		t.Parallel()
		ended(t, create(t, ask(llamaResponses, schema)))
	})
	t.Run(pythonChat, func(t *testing.T) {
		t.Parallel()
		ended(t, create(t, ask(pythonChat, object{"type": "json_object"})))
		r := create(t, ask(pythonChat, schema))
		if r.Status == "failed" && !strings.Contains(r.Error.Message, "json_object") {
			t.Errorf("the error %q does not say what the server takes", r.Error.Message)
		}
	})
}

// A cancel must reach the server: its slot becomes free soon, not after the
// model's 5,000 tokens. The test runs alone, because it reads all slots. It
// reads them every 3 s: llama-server notices a closed connection after a second
// without other requests, and each reading is one.
func TestCancelReachesTheServer(t *testing.T) { //nolint:paralleltest // see above
	code, answer := do(t, http.MethodPost, "/v1/responses", object{
		"model": llamaChat, "background": true, "input": "Tell me a very long story.", "max_output_tokens": 5000,
	})
	var r response
	if err := json.Unmarshal(answer, &r); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	await(t, 50*time.Millisecond, "1 busy", busySlots)
	code, answer = do(t, http.MethodPost, "/v1/responses/"+r.ID+"/cancel", nil)
	if err := json.Unmarshal(answer, &r); err != nil || code != http.StatusOK || r.Status != "cancelled" {
		t.Fatalf("the cancel answered %d %s", code, answer)
	}
	cancelled := time.Now()
	await(t, 3*time.Second, "0 busy", busySlots)
	t.Logf("the slot was free %s after the cancel", time.Since(cancelled).Round(time.Second))
	_, answer = do(t, http.MethodGet, "/v1/responses/"+r.ID, nil)
	if err := json.Unmarshal(answer, &r); err != nil || r.Status != "cancelled" {
		t.Errorf("the response is %s after that: %v", answer, err)
	}
}

// busySlots asks llama-server for the number of busy slots.
func busySlots(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, stack.llama+"/slots", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var slots []struct {
		Busy bool `json:"is_processing"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&slots); err != nil || len(slots) == 0 {
		t.Fatalf("the slots are %v, %v", slots, err)
	}
	busy := 0
	for _, s := range slots {
		if s.Busy {
			busy++
		}
	}
	return fmt.Sprintf("%d busy", busy)
}

// await calls now until it returns want.
func await(t *testing.T, every time.Duration, want string, now func(t *testing.T) string) {
	t.Helper()
	ticks, last := time.NewTicker(every), ""
	defer ticks.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-ticks.C {
		if last = now(t); last == want {
			return
		}
	}
	t.Fatalf("it is %q, want %q", last, want)
}
