package localpg

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// probeLimit bounds one look at a starting server.
const probeLimit = time.Second

// errStarting is the server's own "the database system is starting up" (57P03):
// it accepts connections, but no queries.
var errStarting = errors.New("server is starting up")

// probe opens a session as far as the server's request for a password. An open
// port alone is not enough: the server listens from before crash recovery on.
func probe(ctx context.Context, addr string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("dial %s: %w", addr, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
	}
	if _, err := conn.Write(startupMessage()); err != nil {
		return fmt.Errorf("send startup message: %w", err)
	}
	head := make([]byte, 5) // type, and the length of what follows including itself
	if _, err := io.ReadFull(conn, head); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if head[0] == 'R' { // any authentication request
		return nil
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'E' || size < 4 || size > 64<<10 {
		return fmt.Errorf("answer of type %q is not Postgres's", head[0])
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("read error answer: %w", err)
	}
	if code := errorField(body, 'C'); code != "57P03" {
		return fmt.Errorf("server refused the session: %s (%s)", errorField(body, 'M'), code)
	}
	return errStarting
}

// startupMessage is a StartupMessage of protocol 3.0: length, version, then
// pairs of zero-terminated strings.
func startupMessage() []byte {
	params := "user\x00" + superuser + "\x00database\x00postgres\x00\x00"
	msg := binary.BigEndian.AppendUint32(nil, uint32(8+len(params)))
	msg = binary.BigEndian.AppendUint32(msg, 3<<16)
	return append(msg, params...)
}

// errorField returns one field of an ErrorResponse, "" if it is absent.
func errorField(body []byte, want byte) string {
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) > 0 && field[0] == want {
			return string(field[1:])
		}
	}
	return ""
}
