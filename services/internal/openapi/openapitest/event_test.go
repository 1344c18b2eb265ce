package openapitest

import "testing"

func TestEventsAreCheckedAgainstTheDocument(t *testing.T) {
	t.Parallel()
	const at = `"sequence_number":1,"item_id":"i","output_index":0`
	for name, tt := range map[string]struct {
		event string
		fails bool
	}{
		"progress":                   {`{"type":"response.mcp_call.failed",` + at + `}`, false},
		"progress of nothing":        {`{"type":"response.mcp_call.failed","sequence_number":1}`, true},
		"a list":                     {`{"type":"response.mcp_list_tools.completed",` + at + `}`, false},
		"arguments":                  {`{"type":"response.mcp_call_arguments.delta",` + at + `,"delta":"d","obfuscation":"x"}`, false},
		"arguments without a delta":  {`{"type":"response.mcp_call_arguments.delta",` + at + `}`, true},
		"arguments at their end":     {`{"type":"response.mcp_call_arguments.done",` + at + `,"arguments":"{}"}`, false},
		"reasoning":                  {`{"type":"response.reasoning_text.delta",` + at + `,"content_index":0,"delta":"d"}`, false},
		"reasoning in no part":       {`{"type":"response.reasoning_text.done",` + at + `,"text":"d"}`, true},
		"an error":                   {`{"type":"error","sequence_number":1,"code":null,"message":"m","param":null,"error":{"type":"t","code":null,"message":"m","param":null}}`, false},
		"an error that is not flat":  {`{"type":"error","sequence_number":1,"error":{"type":"t","code":null,"message":"m","param":null}}`, true},
		"a call":                     {`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"mcp_call","id":"m","status":"in_progress","server_label":"s","name":"n","arguments":"","output":null,"error":null,"approval_request_id":null}}`, false},
		"a call without a status":    {`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"mcp_call","id":"m","server_label":"s","name":"n","arguments":"","output":null,"error":null,"approval_request_id":null}}`, true},
		"a list of tools":            {`{"type":"response.output_item.done","sequence_number":1,"output_index":0,"item":{"type":"mcp_list_tools","id":"m","server_label":"s","tools":[{"name":"n","input_schema":{}}]}}`, false},
		"a list of tools with nulls": {`{"type":"response.output_item.done","sequence_number":1,"output_index":0,"item":{"type":"mcp_list_tools","id":"m","server_label":"s","tools":[{"name":"n","description":null,"input_schema":{}}]}}`, true},
		"an event that nobody sends": {`{"type":"response.audio.delta",` + at + `}`, true},
		"no event":                   {`[]`, true},
	} {
		if err := Event(t, []byte(tt.event)); (err != nil) != tt.fails {
			t.Errorf("%s: %v, want an error: %v", name, err, tt.fails)
		}
	}
}
