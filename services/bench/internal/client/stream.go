package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"windlass.dev/windlass/services/mock"
)

// Stream makes streams whose tokens are the times at which they were sent.
type Stream struct {
	field string // precedes a token in a line
	begin func(context.Context, mock.Plan) (*http.Request, error)
	http  *http.Client
}

// Stream streams from the model.
func (d *Direct) Stream() Stream {
	begin := func(ctx context.Context, p mock.Plan) (*http.Request, error) {
		return newRequest(ctx, d.Mock+"/v1/chat/completions", map[string]any{
			"model": ModelName, "stream": true,
			"messages": []any{map[string]string{"role": "user", "content": p.Prompt()}},
		})
	}
	return Stream{field: `"content":"`, http: d.HTTP, begin: begin}
}

// Stream streams through the services.
func (w *Windlass) Stream() Stream {
	begin := func(ctx context.Context, p mock.Plan) (*http.Request, error) {
		return newRequest(ctx, w.URL+"/v1/responses", map[string]any{
			"model": ModelName, "stream": true, "input": p.Prompt(),
		})
	}
	return Stream{field: `"delta":"`, http: w.HTTP, begin: begin}
}

// ReadDelays reads one stream and returns how long each of its tokens took from
// the model to here.
func (s Stream) ReadDelays(ctx context.Context, plan mock.Plan) ([]time.Duration, error) {
	req, err := s.begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("begin a stream: status %d", resp.StatusCode)
	}
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	var took []time.Duration
	for {
		line, err := in.ReadSlice('\n')
		now := time.Now()
		if errors.Is(err, io.EOF) {
			return took, nil
		}
		// A full buffer holds the whole response, not a token.
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("read a stream: %w", err)
		}
		_, rest, found := bytes.Cut(line, []byte(s.field))
		if digits, _, ok := bytes.Cut(rest, []byte(" ")); found && ok {
			if sent, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
				took = append(took, now.Sub(time.Unix(0, sent)))
			}
		}
	}
}

// StartBackground starts a streamed background response and leaves its stream.
func (w *Windlass) StartBackground(ctx context.Context, plan mock.Plan) (id string, err error) {
	req, err := newRequest(ctx, w.URL+"/v1/responses", map[string]any{
		"model": ModelName, "background": true, "stream": true, "input": plan.Prompt(),
	})
	if err != nil {
		return "", err
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, MaxReply)
	for in.Scan() {
		var first struct{ Response struct{ ID string } }
		if data, ok := bytes.CutPrefix(in.Bytes(), []byte("data: ")); ok {
			err := json.Unmarshal(data, &first)
			return first.Response.ID, err
		}
	}
	return "", errors.Join(io.ErrUnexpectedEOF, in.Err())
}

// ConnectSlowly opens a connection for ReadSlowly.
func (w *Windlass) ConnectSlowly(ctx context.Context) (net.Conn, error) {
	at, err := url.Parse(w.URL)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, fmt.Errorf("connect a slow reader: %w", err)
	}
	return conn, nil
}

// ReadSlowly requests the stream of a response and reads a byte a second, until
// ctx ends or the server closes the connection.
func ReadSlowly(ctx context.Context, conn net.Conn, id string) {
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	head := fmt.Sprintf("GET /v1/responses/%s?stream=true HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		id, conn.RemoteAddr(), APIKey)
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for one := make([]byte, 1); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := conn.Read(one); err != nil {
			return // closed: a reader that keeps a server waiting is dropped
		}
	}
}

func newRequest(ctx context.Context, url string, body any) (*http.Request, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+APIKey)
	return req, nil
}
