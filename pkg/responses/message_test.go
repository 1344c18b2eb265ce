package responses

import (
	"strings"
	"testing"
)

func TestReadMessage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ message, body, param string }{
		"a request":               {`{"type":"response.create","model":"m","input":"x"}`, `{"model":"m","input":"x","stream":true}`, ""},
		"what Codex sends":        {`{"type":"response.create","stream":true,"generate":false}`, `{"stream":true,"generate":false}`, ""},
		"background, but not":     {`{"type":"response.create","background":false}`, `{"background":false,"stream":true}`, ""},
		"nulls":                   {`{"type":"response.create","stream":null,"stream_options":null}`, `{"stream":true,"stream_options":null}`, ""},
		"background":              {`{"type":"response.create","background":true}`, "", "background"},
		"no stream":               {`{"type":"response.create","stream":false}`, "", "stream"},
		"options of a stream":     {`{"type":"response.create","stream_options":{}}`, "", "stream_options"},
		"no type":                 {`{"model":"m"}`, "", "type"},
		"a type that is not text": {`{"type":1}`, "", "type"},
		"another type":            {`{"type":"response.cancel"}`, "", "type"},
		"no object":               {`[]`, "", ""},
		"no JSON":                 {`{`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, f := ReadMessage([]byte(tt.message))
			if tt.body != "" {
				if f != nil || string(m.Body) != tt.body || m.StreamID != "" {
					t.Errorf("ReadMessage = %+v, %v, want the body %s", m, f, tt.body)
				}
				return
			}
			if f == nil || f.Status != 400 || f.Param != tt.param {
				t.Errorf("ReadMessage = %+v, %+v, want a 400 for %q", m, f, tt.param)
			}
		})
	}
}

func TestReadMessageOfALane(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", 256)
	for name, tt := range map[string]struct{ given, streamID, code string }{
		"every character":    {`"a.B_c-9"`, "a.B_c-9", ""},
		"an escape":          {`"\u0061"`, "a", ""},
		"the longest":        {`"` + longest + `"`, longest, ""},
		"null":               {`null`, "", ""},
		"longer":             {`"` + longest + `x"`, "", "invalid_stream_id"},
		"empty":              {`""`, "", "invalid_stream_id"},
		"no text":            {`1`, "", "invalid_stream_id"},
		"a space":            {`"a b"`, "", "invalid_stream_id"},
		"a letter elsewhere": {`"é"`, "", "invalid_stream_id"},
		"a quote":            {`"a\""`, "", "invalid_stream_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, f := ReadMessage([]byte(`{"type":"response.create","stream_id":` + tt.given + `,"previous_response_id":"resp_1"}`))
			code, body := "", `{"previous_response_id":"resp_1","stream":true}`
			if f != nil {
				code, body = f.Code, ""
			}
			if code != tt.code || m.StreamID != tt.streamID || m.Previous != "resp_1" || tt.code == "" && string(m.Body) != body {
				t.Errorf("ReadMessage = %+v, %v, want stream_id %q, code %q", m, f, tt.streamID, tt.code)
			}
		})
	}
	// An error has the stream_id.
	if m, f := ReadMessage([]byte(`{"type":"response.cancel","stream_id":"a"}`)); f == nil || m.StreamID != "a" {
		t.Errorf("ReadMessage = %+v, %v, want an error on a", m, f)
	}
}
