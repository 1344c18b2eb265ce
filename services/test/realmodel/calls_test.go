//go:build realmodel

package realmodel

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/services/test/streamcheck"
)

// Chat completions and completions reach the upstream unchanged.
func TestCallsPassThrough(t *testing.T) {
	t.Parallel()
	chat := object{"messages": []object{{"role": "user", "content": "Hi."}}, "max_tokens": 12, "temperature": 0}
	text := object{"prompt": "Once upon a", "max_tokens": 12, "temperature": 0}
	for name, tt := range map[string]struct {
		path string
		body object
	}{
		"chat":        {"/v1/chat/completions", chat},
		"completions": {"/v1/completions", text},
	} {
		for _, model := range []string{llamaChat, pythonChat} {
			t.Run(name+"/"+model, func(t *testing.T) {
				t.Parallel()
				body := object{"model": model}
				maps.Copy(body, tt.body)
				code, answer := do(t, http.MethodPost, tt.path, body)
				var whole struct {
					Choices []struct {
						FinishReason string `json:"finish_reason"`
					}
				}
				if err := json.Unmarshal(answer, &whole); code != http.StatusOK || err != nil || len(whole.Choices) != 1 {
					t.Fatalf("%d %s", code, answer)
				}
				body["stream"] = true
				code, raw := do(t, http.MethodPost, tt.path, body)
				frames, _ := streamcheck.Frames(raw)
				if code != http.StatusOK || len(frames) < 4 || string(frames[len(frames)-1].Data) != "[DONE]" {
					t.Errorf("the stream answered %d with %d frames: %.300s", code, len(frames), raw)
				}
			})
		}
	}
}

// llama-server without --embeddings answers 501, which is final: the client
// gets its text at once.
func TestWhatTheServerCannotDoIsFinal(t *testing.T) {
	t.Parallel()
	code, answer := do(t, http.MethodPost, "/v1/embeddings", object{"model": llamaChat, "input": "x"})
	if code < 400 || !strings.Contains(string(answer), "does not support embeddings") {
		t.Errorf("embeddings answered %d %s, want the server's words", code, answer)
	}
}
