package model

// Dialect is an API that model servers speak. Safe for concurrent use.
type Dialect interface {
	// Path is the endpoint's, below the base URL.
	Path() string
	// Encode is the body of a call. ErrUnsupported names what cannot be carried.
	Encode(c Call) ([]byte, error)
	// Decode reads an answer that came whole. ErrMalformed: it is none.
	Decode(body []byte) (Answer, error)
	// Stream reads an answer that comes piece by piece, and has it heard.
	Stream(listen Listen) Stream
}

// Stream collects an answer.
type Stream interface {
	// Event takes the data of one event. An error ends the call: a *CallError, or ErrMalformed.
	Event(data []byte) error
	// Done says that the upstream marked the end of its stream with [DONE].
	Done()
	// Answer is what was said, once the last event was taken. ErrBrokenOff: the end is missing.
	Answer() (Answer, error)
}
