package behaviour

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// obfuscated counts the deltas of a stream and those with padding; no other
// event may have padding.
func obfuscated(tb testing.TB, raw []byte) (deltas, padded int) {
	tb.Helper()
	frames, _ := streamcheck.Frames(raw)
	for _, f := range frames {
		var e struct{ Obfuscation *string }
		if f.Event == "" || json.Unmarshal(f.Data, &e) != nil {
			continue
		}
		delta := strings.HasSuffix(f.Event, ".delta")
		if delta {
			deltas++
		}
		switch {
		case e.Obfuscation == nil:
		case !delta || *e.Obfuscation == "":
			tb.Errorf("padding in %s", f.Data)
		default:
			padded++
		}
	}
	return deltas, padded
}

// Deltas are padded unless the client refuses it; all readers with the same
// choice get the same bytes.
func TestObfuscation(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	plan := mock.Plan{Seed: 181, Rounds: 1, Width: 2, Reasoning: "hm hm", Text: "some words more"}
	without := stack.Fields{"stream_options": stack.Fields{"include_obfuscation": false}}
	read := func(id, query string) []byte {
		status, raw := s.Do(t, http.MethodGet, "/v1/responses/"+id+"?stream=true"+query, nil)
		if status != http.StatusOK {
			t.Fatalf("%s answered %d %s", query, status, raw)
		}
		return raw
	}
	for name, tt := range map[string]struct {
		fields stack.Fields
		pads   bool
		other  string // the other choice
	}{
		"by default":   {nil, true, "&include_obfuscation=false"},
		"asked for":    {stack.Fields{"stream_options": stack.Fields{"include_obfuscation": true}}, true, "&include_obfuscation=false"},
		"null":         {stack.Fields{"stream_options": stack.Fields{"include_obfuscation": nil}}, true, "&include_obfuscation=0"},
		"done without": {without, false, "&include_obfuscation=true"},
	} {
		raw := s.Stream(t, plan, tt.fields)
		id := stack.Streamed(t, raw).ID
		if deltas, padded := obfuscated(t, raw); deltas < 5 || padded != map[bool]int{true: deltas}[tt.pads] {
			t.Errorf("%s: %d of %d deltas are padded, want all: %v", name, padded, deltas, tt.pads)
		}
		for query, want := range map[string][]byte{
			"": streamcheck.Tail(raw, -1), fmt.Sprint("&include_obfuscation=", tt.pads): streamcheck.Tail(raw, -1), "&starting_after=9": streamcheck.Tail(raw, 9),
		} {
			if again := read(id, query); !bytes.Equal(again, want) {
				t.Errorf("%s: read again with %q, the stream is\n%s\nwant\n%s", name, query, again, want)
			}
		}
		other := read(id, tt.other)
		stack.Streamed(t, other)
		if deltas, padded := obfuscated(t, other); padded != map[bool]int{false: deltas}[tt.pads] {
			t.Errorf("%s: with %s %d of %d deltas are padded", name, tt.other, padded, deltas)
		}
	}
	id := s.Ask(t, mock.Plan{Seed: 182}, nil).ID
	faulty(t, s, http.MethodGet, "/v1/responses/"+id+"?stream=true&include_obfuscation=some", "", "include_obfuscation")
	for options, param := range map[string]string{
		`"yes"`: "stream_options", `{"include_obfuscation":"yes"}`: "stream_options.include_obfuscation", `{"include_obfuscation":1}`: "stream_options.include_obfuscation",
	} {
		faulty(t, s, http.MethodPost, "/v1/responses", `{"model":"mock","input":"x","stream":true,"stream_options":`+options+`}`, param)
	}
}

// faulty holds that a request is refused for the type of a parameter.
func faulty(tb testing.TB, s *stack.Stack, method, path, body, param string) {
	tb.Helper()
	status, text := s.Do(tb, method, path, []byte(body))
	var fault struct{ Error struct{ Code, Param string } }
	if err := json.Unmarshal(text, &fault); err != nil || status != http.StatusBadRequest || fault.Error.Code != "invalid_type" || fault.Error.Param != param {
		tb.Errorf("%s %s of %s answered %d %s, want a fault of %s", method, path, body, status, text, param)
	}
}
