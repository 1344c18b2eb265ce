package bus

import (
	"time"

	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// EncodeFailure is a failure in messages. Own and Raw stay behind: events are
// read by people and by tools.
func EncodeFailure(f run.Failure) *stepv1.Failure {
	return &stepv1.Failure{
		Code: f.Code, Message: f.Message, Retriable: f.Retriable,
		HttpStatus: uint32(f.HTTPStatus), RetryAfterMs: uint64(f.RetryAfter.Milliseconds()),
	}
}

// ReadFailure reads what EncodeFailure wrote.
func ReadFailure(f *stepv1.Failure) run.Failure {
	return run.Failure{
		Code: f.GetCode(), Message: f.GetMessage(), Retriable: f.GetRetriable(),
		HTTPStatus: int(f.GetHttpStatus()), RetryAfter: time.Duration(f.GetRetryAfterMs()) * time.Millisecond,
	}
}
