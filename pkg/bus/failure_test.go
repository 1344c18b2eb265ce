package bus

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

func TestFailureIsReadBack(t *testing.T) {
	t.Parallel()
	want := run.Failure{Code: "http_503", Message: "Away.", HTTPStatus: 503, Retriable: true, RetryAfter: 1500 * time.Millisecond}
	sent := want
	sent.Own, sent.Raw = []byte(`{}`), []byte("secret")
	if diff := cmp.Diff(want, ReadFailure(EncodeFailure(sent))); diff != "" {
		t.Errorf("a failure is read as another (-want +got):\n%s", diff)
	}
}
