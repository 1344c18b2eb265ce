package spectest

import "testing"

func TestEvent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event string
		fails bool
	}{
		"a delta":                    {`{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"d","logprobs":[]}`, false},
		"a delta of nothing":         {`{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0}`, true},
		"an item":                    {`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"function_call","id":"f","call_id":"c","name":"n","arguments":"","status":"in_progress"}}`, false},
		"an item without a status":   {`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"function_call","id":"f","call_id":"c","name":"n","arguments":""}}`, true},
		"a hosted item":              {`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"mcp_call","id":"mcp_1"}}`, false},
		"a hosted item at no place":  {`{"type":"response.output_item.added","sequence_number":1,"item":{"type":"mcp_call","id":"mcp_1"}}`, true},
		"a hosted call's progress":   {`{"type":"response.mcp_call.completed","sequence_number":1}`, false},
		"raw reasoning":              {`{"type":"response.reasoning_text.delta","sequence_number":1}`, false},
		"a response with no members": {`{"type":"response.completed","sequence_number":1,"response":{}}`, true},
		"an event that nobody has":   {`{"type":"response.heartbeat","sequence_number":1}`, true},
		"no event":                   {`[]`, true},
	} {
		if err := Event(t, []byte(tt.event)); (err != nil) != tt.fails {
			t.Errorf("%s: %v, want an error: %v", name, err, tt.fails)
		}
	}
}

func TestCompaction(t *testing.T) {
	t.Parallel()
	const usage = `{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":2}`
	const start = `{"id":"resp_1","object":"response.compaction","created_at":1,"usage":` + usage + `,"output":[`
	for name, tt := range map[string]struct {
		text  string
		fails bool
	}{
		"a history":            {start + `{"type":"compaction","id":"cmp_1","encrypted_content":"x"}]}`, false},
		"an item without id":   {start + `{"type":"compaction","encrypted_content":"x"}]}`, true},
		"a history of nothing": {`{"id":"resp_1","object":"response.compaction","created_at":1,"output":[]}`, true},
		"another object":       {`{"id":"resp_1","object":"response","created_at":1,"output":[],"usage":` + usage + `}`, true},
		"no object":            {`[]`, true},
	} {
		if err := Compaction(t, []byte(tt.text)); (err != nil) != tt.fails {
			t.Errorf("%s: %v, want an error: %v", name, err, tt.fails)
		}
	}
}

func TestItem(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		item  string
		fails bool
	}{
		"a message":            {`{"type":"message","id":"m","status":"completed","role":"user","content":[{"type":"input_text","text":"t"}]}`, false},
		"a message without id": {`{"type":"message","status":"completed","role":"user","content":[]}`, true},
		"a hosted call":        {`{"type":"mcp_call"}`, false},
		"an unknown item":      {`{"type":"heartbeat","id":"h"}`, true},
	} {
		if err := Item(t, []byte(tt.item)); (err != nil) != tt.fails {
			t.Errorf("%s: %v, want an error: %v", name, err, tt.fails)
		}
	}
}
