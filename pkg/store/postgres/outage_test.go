package postgres_test

import (
	"errors"
	"testing"

	"windlass.dev/windlass/pkg/store/postgres"
)

func TestReasonIsOneLine(t *testing.T) {
	t.Parallel()
	cause := errors.New("failed to connect to `u`:\n\ta: refused\n\ta: refused\n\tb: timeout")
	if got, want := postgres.ConnectReason(cause).Error(), "failed to connect to `u`: a: refused; b: timeout"; got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
}
