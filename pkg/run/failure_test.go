package run_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"windlass.dev/windlass/pkg/run"
)

func TestFailure(t *testing.T) {
	t.Parallel()
	f := run.Failure{
		Code: "http_500", Message: "a \"b\"\u0000", HTTPStatus: 500, Attempt: 2, RetryAfter: 3 * time.Millisecond, Own: []byte(`{"message":"a"}`),
	}
	if diff := cmp.Diff(f, run.ReadFailure(f.Encode())); diff != "" {
		t.Errorf("a failure is read as another (-written +read):\n%s", diff)
	}
	for _, b := range []string{``, `null`, `{}`, `{"message":"x"}`, `oops`} {
		if got := run.ReadFailure([]byte(b)); got.Code != "server_error" || got.Message == "" {
			t.Errorf("%q is read as %+v, want a server_error with a message", b, got)
		}
	}
	var seen struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(f.ForModel(), &seen); err != nil || seen.Error.Code != f.Code || seen.Error.Message != f.Message {
		t.Errorf("the model sees %s (%v)", f.ForModel(), err)
	}
}

// TestFailureReadsWhatWasStored reads a row of an earlier version, and checks
// that what is stored has neither Retriable nor Raw.
func TestFailureReadsWhatWasStored(t *testing.T) {
	t.Parallel()
	const stored = `{"code":"timeout","message":"Late.","http_status":408,"attempt":3,"retry_after_ms":1500,"own":{"message":"a"}}`
	want := run.Failure{
		Code: run.CodeTimeout, Message: "Late.", HTTPStatus: 408, Attempt: 3, RetryAfter: 1500 * time.Millisecond, Own: []byte(`{"message":"a"}`),
	}
	if diff := cmp.Diff(want, run.ReadFailure([]byte(stored))); diff != "" {
		t.Errorf("a stored failure is read as another (-want +got):\n%s", diff)
	}
	want.Retriable, want.Raw = true, []byte("secret")
	if got := string(want.Encode()); got != stored {
		t.Errorf("Encode = %s, want %s", got, stored)
	}
}
