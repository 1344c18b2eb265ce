package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
)

// unpack returns a body without compression and without white space and byte
// order mark at its start. Servers compress without a Content-Encoding.
func unpack(from io.Reader) (*bufio.Reader, error) {
	body := bufio.NewReader(from)
	magic, _ := body.Peek(2)
	if len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, malformedError("it is no gzip data")
		}
		body = bufio.NewReader(z)
	} else if len(magic) == 2 && magic[0] == 0x78 && (magic[1] == 0x01 || magic[1] == 0x9c || magic[1] == 0xda) {
		z, err := zlib.NewReader(body)
		if err != nil {
			return nil, malformedError("it is no deflate data")
		}
		body = bufio.NewReader(z)
	}
	for {
		first, err := body.Peek(1)
		switch {
		case err != nil:
			return body, nil
		case first[0] == 0xef:
			if mark, _ := body.Peek(3); string(mark) != "\ufeff" {
				return body, nil
			}
			_, _ = body.Discard(3)
		case bytes.ContainsRune([]byte(" \t\r\n"), rune(first[0])):
			_, _ = body.Discard(1)
		default:
			return body, nil
		}
	}
}

// readErrorBody returns the start of the body of an error. It returns what it
// can read: the status alone is an error already.
func readErrorBody(resp *http.Response) []byte {
	body, err := unpack(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxError))
	return b
}
