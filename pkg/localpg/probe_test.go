package localpg

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestProbeReadsTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer string
		ready  bool
		want   error
	}{
		{"asks for a password", "R\x00\x00\x00\x08\x00\x00\x00\x0a", true, nil},
		{"starting up", "E\x00\x00\x00\x13SFATAL\x00C57P03\x00\x00", false, errStarting},
		{"another error", "E\x00\x00\x00\x13SFATAL\x00C53300\x00\x00", false, nil},
		{"not Postgres", "HTTP/1.1 400 Bad Request\r\n\r\n", false, nil},
		{"hangs up", "", false, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := probe(t.Context(), answering(t, tt.answer))
			if (err == nil) != tt.ready || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("probe of %q = %v, want ready %v, error %v", tt.answer, err, tt.ready, tt.want)
			}
		})
	}
}

// answering listens for one session, reads its startup message, answers and
// hangs up.
func answering(t *testing.T, answer string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, len(startupMessage())))
			_, writeErr := io.WriteString(conn, answer)
			err = errors.Join(err, writeErr, conn.Close())
		}
		served <- err
	}()
	t.Cleanup(func() {
		if err := errors.Join(<-served, l.Close()); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}
