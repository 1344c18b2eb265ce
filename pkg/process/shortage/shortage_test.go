package shortage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

func TestOf(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return fmt.Errorf("send: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", err)})
	}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"nothing":          {nil, ""},
		"another error":    {io.EOF, ""},
		"refused":          {dial(syscall.ECONNREFUSED), ""},
		"descriptors":      {dial(syscall.EMFILE), descriptors},
		"of the machine":   {dial(syscall.ENFILE), descriptors},
		"memory":           {dial(syscall.ENOMEM), memory},
		"buffers":          {dial(syscall.ENOBUFS), memory},
		"in a lookup":      {&net.DNSError{Err: "dial udp: socket: too many open files"}, descriptors},
		"an unknown host":  {&net.DNSError{Err: "no such host"}, ""},
		"an unread secret": {fmt.Errorf("call: %w", Secret(os.ErrPermission)), secret},
	} {
		var got *Error
		if errors.As(Of(tt.err), &got); (got == nil) != (tt.want == "") || got != nil && got.Lack != tt.want {
			t.Errorf("%s: Of(%v) = %v, want %q", name, tt.err, got, tt.want)
		}
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWatch(zap.NewNop(), prometheus.NewRegistry())
		tries := 0
		err := w.Retry(t.Context(), func(context.Context) error {
			if tries++; tries <= 20 {
				return syscall.EMFILE
			}
			return io.EOF
		})
		if !errors.Is(err, io.EOF) || tries != 21 {
			t.Errorf("Retry = %v after %d tries, want the first other error", err, tries)
		}
		if n := testutil.ToFloat64(w.counter.WithLabelValues(descriptors)); n != 20 {
			t.Errorf("%v shortages are counted, want 20", n)
		}
		var shown interface{ Public() string }
		if err := w.Ready(t.Context()); !errors.As(err, &shown) || shown.Public() != "the process lacks descriptors" {
			t.Errorf("right after a shortage Ready = %v, want an error that shows what is missing", err)
		}
		<-time.After(memoryTime)
		if err := w.Ready(t.Context()); err != nil {
			t.Errorf("Ready = %v long after a shortage", err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, io.ErrClosedPipe)
		defer cancel()
		var lack *Error
		err = w.Retry(ctx, func(context.Context) error { return syscall.ENOMEM })
		if !errors.As(err, &lack) || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Retry = %v at the end of its context, want the shortage and the cause", err)
		}
		if err := (*Watch)(nil).Retry(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("Retry of no Watch = %v", err)
		}
	})
}
