package model

// Dialect is an API that model servers speak. Safe for concurrent use.
type Dialect interface {
	// Path is the endpoint's path below the base URL.
	Path() string
	// Encode returns the body of a call. ErrUnsupported names what the dialect
	// cannot express.
	Encode(c Call) ([]byte, error)
	// Decode reads an answer in one piece, or returns ErrMalformed.
	Decode(body []byte) (Answer, error)
	// Stream reads an answer in pieces and passes them to listen.
	Stream(listen Listen) Stream
}

// Stream collects an answer.
type Stream interface {
	// Event reads the data of one event. An error ends the call: a
	// *run.Failure, or ErrMalformed.
	Event(data []byte) error
	// Done reports that the upstream ended its stream with [DONE].
	Done()
	// Answer returns the answer after the last event, or ErrBrokenOff if its
	// end is missing.
	Answer() (Answer, error)
}
