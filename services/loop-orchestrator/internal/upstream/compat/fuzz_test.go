package compat

import (
	"encoding/json"
	"testing"
)

// FuzzRefusal holds that, for any answer of a server and any body of a client,
// the body that is sent again is JSON, also after all other changes.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{full, fullResponse, `{"messages":[{"role":"system"},{"role":"developer","content":[{"type":"text"}]},{}]}`, `{"messages":[null,1]}`, `{"tools":null}`, `[]`} {
		f.Add([]byte(body), []byte(`{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}`), chatPath)
		f.Add([]byte(body), []byte(`{"error":{"message":"Unknown parameter: 'tools[0].strict'. {\"a\":[[[["}}`), responsesPath)
		f.Add([]byte(body), []byte("Unexpected message role."), chatPath)
	}
	every := []Change{
		{Omit, "a.b"},
		{Omit, "stream_options"},
		{OmitInTools, "strict"},
		{OmitInFormat, "strict"},
		{OmitInItems, "reasoning"},
		{OmitInCalls, "index"},
		{OmitSealed, ""},
		{Bound, "max_tokens"},
		{Role, "merge"},
		{Role, "user"},
		{EmptyText, ""},
		{NineIDs, ""},
		{ToolNames, ""},
	}
	f.Fuzz(func(t *testing.T, body, answer []byte, path string) {
		if !json.Valid(body) {
			return
		}
		r := Request{Path: path, Body: body}
		changes := AfterRefusal(r, 400, answer)
		for _, all := range [][]Change{changes, Allowed(r, changes), every} {
			if got := Apply(r, []byte(`{"x":1}`), all); !json.Valid(got) {
				t.Fatalf("%v make of %s no JSON: %s", all, body, got)
			}
		}
	})
}
