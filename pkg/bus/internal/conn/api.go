package conn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Purge deletes messages of a request by stream and subject.
func (c *Conn) Purge(ctx context.Context, requestID string, tails map[string]string) error {
	var errs []error
	for stream, tail := range tails {
		ask := map[string]string{"filter": c.Subject(tail)}
		if err := c.Request(ctx, "STREAM.PURGE."+c.Stream(stream), ask, nil); err != nil {
			errs = append(errs, fmt.Errorf("purge %s of request %s: %w", c.Stream(stream), requestID, err))
		}
	}
	return errors.Join(errs...)
}

// Request calls the JetStream API where the jetstream package has no function,
// or one with more round trips.
func (c *Conn) Request(ctx context.Context, verb string, question, answer any) error {
	return c.Mend(ctx, func(ctx context.Context) error { return c.requestOnce(ctx, verb, question, answer) })
}

// requestOnce is Request without a repair.
func (c *Conn) requestOnce(ctx context.Context, verb string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode question: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	msg, err := c.NATS.RequestWithContext(ctx, "$JS.API."+verb, body)
	if err != nil {
		return err
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &failed); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if failed.Error != nil {
		return failed.Error
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
