package bench

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
	"sync"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
)

// Streams says what RunStreams measures, with the Self, Dir, PGBin and Progress of a Config.
type Streams struct {
	Config
	Streams int
	Rate    float64       // tokens a second of each
	Time    time.Duration // of each
	Slow    int           // readers of a byte a second beside them, in a second pass
}

// RunStreams measures what a token takes from the model server to the client, straight and through the services: every token is the
// time at which it was sent. It fails with ErrNoScore if a stream was not token for token what was sent.
func RunStreams(ctx context.Context, cfg Streams, out io.Writer) (err error) {
	if cfg.Dialect == registry.Responses {
		return errors.New("streams are measured by chat completions: a token is the time it is sent at, and a response has all of them at its end again")
	}
	b := &bench{Config: cfg.Config, seed: 1}
	b.say("starting Postgres, NATS, the scripted model and the services")
	if b.stack, err = startStack(ctx, cfg.Config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stack.stop()) }()
	tokens := int(cfg.Rate * cfg.Time.Seconds())
	fmt.Fprintf(out, "\n%d streams of %d tokens, %g a second each\n", cfg.Streams, tokens, cfg.Rate)
	fmt.Fprintf(out, "%-28s %10s %10s %10s %10s %10s   %s\n", "", "tokens",
		"first p50", "p50 ms", "p99 ms", "max ms", "services MB: before, half-way, highest")
	pass := func(name string, ask func(mock.Plan) (*http.Request, error), field string) error {
		b.say("%s", name)
		before := b.stack.ids.memory()[servicesGroup]
		watched, stop := context.WithCancel(ctx)
		half, stopHalf := context.WithTimeout(watched, cfg.Time/2)
		defer stopHalf()
		peaks, halfway := b.stack.ids.watch(watched), b.stack.ids.watch(half)
		all, err := b.streamAll(ctx, cfg.Streams, tokens, cfg.Rate, ask, field)
		stop()
		peak, early := peaks()[servicesGroup], halfway()[servicesGroup]
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-28s %10d %10.2f %10.2f %10.2f %10.2f   %s → %s → %s\n", name, len(all.tokens), ms(quantile(all.first, 0.5)),
			ms(quantile(all.tokens, 0.5)), ms(quantile(all.tokens, 0.99)), ms(quantile(all.tokens, 1)),
			megabytes(before), megabytes(early), megabytes(peak))
		return nil
	}
	if err := pass("straight", b.stack.askModel(ctx), `"content":"`); err != nil {
		return err
	}
	if err := pass("through the services", b.stack.askStream(ctx), `"delta":"`); err != nil {
		return err
	}
	if cfg.Slow == 0 {
		return nil
	}
	return b.withSlow(ctx, cfg.Slow, func() error {
		return pass(fmt.Sprintf("beside %d slow readers", cfg.Slow), b.stack.askStream(ctx), `"delta":"`)
	})
}

// delays are what tokens took from the model server to the client.
type delays struct{ first, tokens []time.Duration }

func (b *bench) streamAll(
	ctx context.Context, streams, tokens int, rate float64, ask func(mock.Plan) (*http.Request, error), field string,
) (all delays, err error) {
	var mu sync.Mutex
	var errs []error
	var reading sync.WaitGroup
	for range streams {
		plan := mock.Plan{Seed: b.seed, Tokens: tokens, TokenRate: rate, Stamp: true}
		b.seed++
		reading.Go(func() {
			took, err := b.stack.stream(ask, plan, field)
			if err == nil && len(took) != tokens {
				err = fmt.Errorf("%w: a stream had %d tokens, %d were sent", ErrNoScore, len(took), tokens)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			all.first = append(all.first, took[0])
			all.tokens = append(all.tokens, took...)
		})
	}
	reading.Wait()
	return all, errors.Join(errs...)
}

// stream reads one stream and returns what each of its tokens took.
func (s *stack) stream(ask func(mock.Plan) (*http.Request, error), plan mock.Plan, field string) ([]time.Duration, error) {
	req, err := ask(plan)
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
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) { // what does not fit is the whole response, not a token
			return nil, fmt.Errorf("read a stream: %w", err)
		}
		_, rest, found := bytes.Cut(line, []byte(field))
		if digits, _, ok := bytes.Cut(rest, []byte(" ")); found && ok {
			if sent, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
				took = append(took, now.Sub(time.Unix(0, sent)))
			}
		}
	}
}

func (s *stack) askModel(ctx context.Context) func(mock.Plan) (*http.Request, error) {
	return func(p mock.Plan) (*http.Request, error) {
		return jsonRequest(ctx, s.mockURL+"/v1/chat/completions", map[string]any{
			"model": modelName, "stream": true, "messages": []any{map[string]string{"role": "user", "content": p.Prompt()}},
		})
	}
}

func (s *stack) askStream(ctx context.Context) func(mock.Plan) (*http.Request, error) {
	return func(p mock.Plan) (*http.Request, error) {
		return jsonRequest(ctx, s.api.url+"/v1/responses", map[string]any{"model": modelName, "stream": true, "input": p.Prompt()})
	}
}

func jsonRequest(ctx context.Context, url string, body any) (*http.Request, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+apiKey)
	return req, nil
}

const (
	// slowRate is that of the stream which is read slowly, in tokens a second; ahead is how far it is when its readers come: further
	// than what the kernel takes for a client that reads nothing. stalling is the time in which they come to stand.
	slowRate = 200
	ahead    = 10 * time.Second
	stalling = 8 * time.Second
)

// withSlow has n clients read one long stream at a byte a second while f runs. f begins when nothing more goes to them.
func (b *bench) withSlow(ctx context.Context, n int, f func() error) error {
	plan := mock.Plan{Seed: b.seed, Tokens: 20_000, TokenRate: slowRate}
	b.seed++
	id, err := b.stack.begin(ctx, plan)
	if err != nil {
		return fmt.Errorf("begin what is read slowly: %w", err)
	}
	if err := wait(ctx, time.Now().Add(ahead)); err != nil {
		return err
	}
	at, err := url.Parse(b.stack.api.url)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	head := fmt.Sprintf("GET /v1/responses/%s?stream=true HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", id, at.Host, apiKey)
	for range n {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
		if err != nil {
			return fmt.Errorf("connect a slow reader: %w", err)
		}
		reading.Go(func() { readSlowly(ctx, conn, head) })
	}
	if err := wait(ctx, time.Now().Add(stalling)); err != nil {
		return err
	}
	return f()
}

// begin begins a streamed background response and leaves it.
func (s *stack) begin(ctx context.Context, plan mock.Plan) (id string, err error) {
	req, err := jsonRequest(ctx, s.api.url+"/v1/responses", map[string]any{
		"model": modelName, "background": true, "stream": true, "input": plan.Prompt(),
	})
	if err != nil {
		return "", err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxReply)
	for in.Scan() {
		var first struct{ Response struct{ ID string } }
		if data, ok := bytes.CutPrefix(in.Bytes(), []byte("data: ")); ok {
			err := json.Unmarshal(data, &first)
			return first.Response.ID, err
		}
	}
	return "", errors.Join(io.ErrUnexpectedEOF, in.Err())
}

func readSlowly(ctx context.Context, conn net.Conn, head string) {
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	one := make([]byte, 1)
	for wait(ctx, time.Now().Add(time.Second)) == nil {
		if _, err := conn.Read(one); err != nil {
			return // dropped, as a reader has to be that keeps a server waiting
		}
	}
}
