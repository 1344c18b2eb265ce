package responses

import (
	"bytes"
	"encoding/json"
	"testing"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
)

// maxFault bounds an error's envelope: it quotes what was sent, and never all
// of it.
const maxFault = 8 << 10

// FuzzDecode checks that every body is refused with a short 400, or is read
// into what can be encoded, stored and read again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		everything, body(""), `[]`, `{"model":"m","input":"\ud800\n"}`, body(`"prompt":{"id":"p"},"tools":[{"type":"x","a":null}]`),
		body(`"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"\u0000"}]}]`),
		body(`"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"$ref":"#"}}}}}`),
		body(`"conversation":{"id":"conv_1"},"input":[{"id":"rs_1"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"x"}]`),
		body(`"tool_choice":{"type":"allowed_tools","tools":[{"type":"mcp","server_label":"s"}]},"tools":[{"type":"mcp","server_label":"s"}],"text":{"format":{"type":"json_object"}}`),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		c, err := Decode(b)
		if !bytes.Equal(b, before) {
			t.Fatalf("Decode has changed %q to %q", before, b)
		}
		if err != nil {
			soundFault(t, b, err)
			return
		}
		if err := c.Refusal(); err != nil {
			soundFault(t, b, err)
		}
		if open, err := Open(links(c.Input)); err == nil {
			_ = c.Answers(open) // must not panic
		}
		got := Response{ID: "resp_1", Request: c, Status: run.Completed, CreatedAt: at, Output: c.Input}.JSON()
		if !json.Valid(got) || bytes.ContainsAny(got, "\r\n") {
			t.Fatalf("Decode(%q) is echoed as %q", b, got)
		}
		for _, it := range c.Input {
			stored := it.Stored("id_1")
			if again, err := item.Parse(stored.JSON()); err != nil || again.Type != it.Type || again.ID == "" {
				t.Fatalf("item %q is stored as %q: %v", it.JSON(), stored.JSON(), err)
			}
			_, _, _, _ = it.Parts(), it.Summary(), it.Arguments(), it.Error()
		}
	})
}

func links(items []item.Item) []Link {
	var all []Link
	for _, it := range items {
		if it.CallID != "" {
			all = append(all, Link{CallID: it.CallID, Output: it.Type == "function_call_output"})
		}
	}
	return all
}

func soundFault(t *testing.T, b []byte, err *fault.Error) {
	t.Helper()
	envelope := err.JSON()
	if err.Status != 400 || err.Type != "invalid_request_error" || err.Message == "" || !json.Valid(envelope) ||
		len(envelope) > maxFault || bytes.ContainsAny(envelope, "\r\n") {
		t.Fatalf("%q is refused with %d %s", b, err.Status, envelope)
	}
}

// FuzzMessage: a message of a WebSocket is refused by a 400, or is read as the
// body that it stands for, which is a stream.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"response.create","model":"m","input":"x","stream":true}`, `{"type":"response.create","background":false,"generate":false,"stream_id":"a.b"}`,
		`{"t\u0079pe":"response.create","type":"response.create","stream":false,"stream":true}`, `{"type":"x"}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := ReadMessage(message)
		body := m.Body
		if err != nil {
			soundFault(t, message, err)
			return
		}
		var fields map[string]any
		if json.Unmarshal(body, &fields) != nil || fields["stream"] != true || fields["type"] != nil || fields["stream_id"] != nil {
			t.Fatalf("%q is read as %q", message, body)
		}
		if c, err := Decode(body); err == nil && (!c.Stream || c.Background) {
			t.Fatalf("%q is read as %q, which is not a stream in the foreground", message, body)
		}
	})
}
