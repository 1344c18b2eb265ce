package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slowBody delivers chunks after pauses, until its read deadline.
type slowBody struct {
	http.ResponseWriter

	pauses   []time.Duration
	size     int
	deadline time.Time
}

func (b *slowBody) SetReadDeadline(at time.Time) error {
	b.deadline = at
	return nil
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.pauses) == 0 {
		return 0, io.EOF
	}
	pause := b.pauses[0]
	b.pauses = b.pauses[1:]
	if left := time.Until(b.deadline); pause > left {
		time.Sleep(left) //nolint:forbidigo // in a bubble
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(pause) //nolint:forbidigo // in a bubble
	return min(b.size, len(p)), nil
}

// A client may pause for bodyPause, however much it has sent before.
func TestAPausedBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size   int
		pauses []time.Duration
		ok     bool
	}{
		"fast":                           {1 << 20, []time.Duration{0, 0, time.Second, 0}, true},
		"slow and steady":                {bodyRate, repeat(time.Second, 300), true},
		"too slow":                       {bodyRate / 2, repeat(time.Second, 300), false},
		"a pause":                        {1 << 20, []time.Duration{0, 0, 19 * time.Second, 19 * time.Second, 0}, true},
		"a pause after megabytes":        {1 << 20, append(repeat(0, 15), 21*time.Second, 0), false},
		"a late begin":                   {1 << 10, []time.Duration{16 * time.Second}, false},
		"a byte now and then after that": {1, append(repeat(0, 10), repeat(10*time.Second, 10)...), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &slowBody{ResponseWriter: httptest.NewRecorder(), pauses: tt.pauses, size: tt.size}
				p := &pacedReader{from: b, conn: http.NewResponseController(b), until: time.Now().Add(bodyGrace)}
				_, err := io.ReadFull(p, make([]byte, 64<<20))
				if errors.Is(err, io.ErrUnexpectedEOF) {
					err = nil
				}
				if (err == nil) != tt.ok {
					t.Errorf("read to %v, want success: %v", err, tt.ok)
				}
			})
		})
	}
}

// The time in which the gateway waits for memory is not the client's.
func TestOurOwnPauseIsNotTheClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &slowBody{ResponseWriter: httptest.NewRecorder(), pauses: repeat(time.Second, 20), size: bodyRate}
		p := &pacedReader{from: b, conn: http.NewResponseController(b), until: time.Now().Add(bodyGrace)}
		for {
			_, err := p.Read(make([]byte, bodyRate))
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
		}
	})
}

func repeat(d time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}
