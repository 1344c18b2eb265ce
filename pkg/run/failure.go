package run

import (
	"encoding/json"
	"fmt"
	"time"
)

// Failure is why an attempt, a step or a run failed: of a model, a tool or
// Windlass itself. Its JSON is stored beside the step and read by the audit
// trail; it has neither Retriable nor Raw.
type Failure struct {
	Code       Code
	Message    string        // for the client or the model; holds no credential
	HTTPStatus int           // 0 if no answer came
	Attempt    int           // 0 if unknown
	Retriable  bool          // another attempt may do better
	RetryAfter time.Duration // how long the other side asks to wait; 0 if it does not say
	// Own is the error in the upstream's own words, as OpenAI writes one, if it
	// finds fault with the request; else nil.
	Own json.RawMessage
	// Raw is the answer that refuses the request, as it came. It may quote the
	// credential, so it is neither stored nor shown.
	Raw []byte
}

type failureJSON struct {
	Code         Code            `json:"code"`
	Message      string          `json:"message"`
	HTTPStatus   int             `json:"http_status,omitempty"`
	Attempt      int             `json:"attempt,omitempty"`
	RetryAfterMS int64           `json:"retry_after_ms,omitempty"`
	Own          json.RawMessage `json:"own,omitempty"`
}

// Error is for logs.
func (f *Failure) Error() string {
	return fmt.Sprintf("the call failed (%s, HTTP %d): %s", f.Code, f.HTTPStatus, f.Message)
}

// MarshalJSON is the failure as it is stored.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(failureJSON{f.Code, f.Message, f.HTTPStatus, f.Attempt, f.RetryAfter.Milliseconds(), f.Own})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Failure) UnmarshalJSON(b []byte) error {
	var in failureJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*f = Failure{
		Code: in.Code, Message: in.Message, HTTPStatus: in.HTTPStatus, Attempt: in.Attempt,
		RetryAfter: time.Duration(in.RetryAfterMS) * time.Millisecond, Own: in.Own,
	}
	return nil
}

// Encode is the failure as it is stored.
func (f Failure) Encode() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // Own is JSON, strings and integers always encode
	}
	return b
}

// ReadFailure reads what Encode wrote. Unreadable bytes are a failure with
// CodeServerError.
func ReadFailure(b []byte) Failure {
	var f Failure
	if err := json.Unmarshal(b, &f); err != nil || f.Code == "" {
		return Failure{Code: CodeServerError, Message: "The step failed."}
	}
	return f
}

// ForModel is the text that a model sees in place of a tool's output.
func (f Failure) ForModel() []byte {
	b, err := json.Marshal(map[string]any{"error": map[string]string{"code": f.Code, "message": f.Message}})
	if err != nil {
		panic(err) // strings always encode
	}
	return b
}
