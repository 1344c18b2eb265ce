package mock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"windlass.dev/windlass/services/test/streamcheck"
)

func postResponse(t *testing.T, s *Server, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/responses", strings.NewReader(body)))
	return w.Code, w.Body.String()
}

// responseBody returns a request with the plan and more items after it.
func responseBody(t *testing.T, plan Plan, members string, more ...string) string {
	t.Helper()
	prompt, err := json.Marshal(plan.Prompt())
	if err != nil {
		t.Fatal(err)
	}
	items := append([]string{`{"role":"user","content":` + string(prompt) + `}`}, more...)
	return `{"model":"m","store":false,` + members + `"input":[` + strings.Join(items, ",") + `]}`
}

func TestResponses(t *testing.T) {
	t.Parallel()
	s := New()
	plan := Plan{Seed: 7, Rounds: 1, Width: 2, Reasoning: "let me think"}
	const sealed = `"include":["reasoning.encrypted_content"],`
	first, said := "", ""
	for _, streamed := range []bool{false, true} {
		members := sealed
		if streamed {
			members += `"stream":true,`
		}
		status, text := postResponse(t, s, responseBody(t, plan, members))
		if status != http.StatusOK {
			t.Fatalf("answered %d: %s", status, text)
		}
		if streamed {
			for _, v := range streamcheck.Check([]byte(text)) {
				t.Errorf("%s", v)
			}
			frames, _ := streamcheck.Frames([]byte(text))
			var last struct{ Response json.RawMessage }
			if err := json.Unmarshal(frames[len(frames)-2].Data, &last); err != nil {
				t.Fatal(err)
			}
			text = string(last.Response)
		}
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("streamed, the response is\n%s\nit was\n%s", text, first)
		}
	}
	var r struct{ Output []map[string]any }
	if err := json.Unmarshal([]byte(first), &r); err != nil {
		t.Fatal(err)
	}
	for i, it := range r.Output {
		delete(it, "id")
		b, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		said += "," + string(b)
		if want := []string{"reasoning", "function_call", "function_call"}[i]; it["type"] != want {
			t.Errorf("item %d is a %s, want a %s", i, it["type"], want)
		}
	}
	outputs := `{"type":"function_call_output","call_id":"call_7_0_0","output":"{\"value\":1}"},{"type":"function_call_output","call_id":"call_7_0_1","output":"{\"value\":2}"}`
	calls := said[strings.Index(said, `,{"arguments"`):]
	for _, tt := range []struct{ name, body, refusal string }{
		{"all that was said", responseBody(t, plan, sealed, said[1:], outputs), ""},
		{"without its thoughts", responseBody(t, plan, sealed, calls[1:], outputs), "without their required 'reasoning' item"},
		{"without thoughts that were not sealed", responseBody(t, plan, "", calls[1:], outputs), ""},
		{"thoughts alone", responseBody(t, plan, sealed, said[1:strings.Index(said, `,{"arguments"`)]), "without its required following item"},
		{"thoughts of somebody", responseBody(t, plan, sealed, `{"type":"reasoning","summary":[],"encrypted_content":"x"}`), "could not be verified"},
		{"an item by its id", responseBody(t, plan, "", `{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"}`), "Item with id 'fc_1' not found"},
		{"a call without output", responseBody(t, plan, sealed, said[1:]), "No tool output found"},
		{"an item that nobody knows", responseBody(t, plan, "", `{"type":"hologram"}`), "hologram"},
		{"a response to keep", `{"model":"m","input":"x"}`, "'store' has to be false"},
		{"a stamped text", responseBody(t, Plan{Stamp: true, Tokens: 2}, ""), "stamped"},
		{"no plan", `{"model":"m","store":false,"input":"x"}`, "needs a plan"},
		{"no input", `{"model":"m","store":false,"input":7}`, "Invalid type for 'input'"},
		{"no JSON", `{`, "could not parse"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, text := postResponse(t, s, tt.body)
			if (status != http.StatusOK) != (tt.refusal != "") || !strings.Contains(text, tt.refusal) {
				t.Errorf("answered %d: %s; want a refusal with %q", status, text, tt.refusal)
			}
		})
	}
}

func TestResponsesThatAreCut(t *testing.T) {
	t.Parallel()
	s := New()
	for finish, want := range map[string]string{
		"length": `"reason":"max_output_tokens"`, "content_filter": `"reason":"content_filter"`, "tired": `"reason":"tired"`,
		"failed": `"error":{"code":"server_error"`,
	} {
		_, text := postResponse(t, s, responseBody(t, Plan{Text: "a", FinishReason: finish}, ""))
		if !strings.Contains(text, want) {
			t.Errorf("finished by %s, it is %s; want %s in it", finish, text, want)
		}
	}
	if entries := s.Ledger(); len(entries) != 4 || entries[0].Kind != "model" || entries[0].Status != http.StatusOK {
		t.Errorf("the ledger has %+v", entries)
	}
}
