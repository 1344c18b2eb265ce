package responses

import (
	"testing"
)

func TestMessage(t *testing.T) {
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
			body, f := Message([]byte(tt.message))
			if tt.body != "" {
				if f != nil || string(body) != tt.body {
					t.Errorf("Message = %s, %v, want %s", body, f, tt.body)
				}
				return
			}
			if f == nil || f.Status != 400 || f.Param != tt.param {
				t.Errorf("Message = %s, %+v, want a 400 for %q", body, f, tt.param)
			}
		})
	}
}
