package relay

import "windlass.dev/windlass/pkg/run"

// form is what differs between the endpoints' bodies.
type form struct {
	members  []string // of a request, as far as they are read here
	required []string // of a request; null does not count
	list     string   // the member of an answer that holds its entries
	messages bool     // a choice is a message or its deltas, and not a text
	outputs  bool     // the output tokens count
}

// forms has a form for each endpoint that is relayed (TestForms). A completion
// needs no prompt: the upstream begins with its own. Some upstreams count
// output tokens of embeddings, which they do not bill.
var forms = map[run.Endpoint]form{
	run.ChatCompletions: {
		members:  []string{"model", "messages", "stream", "stream_options", "service_tier"},
		required: []string{"model", "messages"},
		list:     "choices", messages: true, outputs: true,
	},
	run.Completions: {
		members:  []string{"model", "prompt", "stream", "stream_options", "service_tier"},
		required: []string{"model"},
		list:     "choices", outputs: true,
	},
	run.Embeddings: {
		members:  []string{"model", "input", "service_tier"},
		required: []string{"model", "input"},
		list:     "data",
	},
}
