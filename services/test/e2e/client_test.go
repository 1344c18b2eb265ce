//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/services/mock"
)

// client is a client of the gateway.
type client struct {
	base string
	http *http.Client
	key  string // Idempotency-Key of its POSTs, if set
}

func newClient(base string) *client {
	return &client{base: base, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
}

// refusal is an answer other than 200.
type refusal struct {
	status     int
	retryAfter int // in seconds; 0 if absent
	body       string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("status %d, Retry-After %d: %s", r.status, r.retryAfter, r.body)
}

// submit sends a plan as a background request and returns its id.
func (c *client) submit(ctx context.Context, p mock.Plan) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "input": p.Prompt(), "background": true, "tools": []any{map[string]any{"type": "mcp", "server_label": "windlass"}},
	})
	if err != nil {
		return "", err
	}
	var o Object
	err = c.do(ctx, http.MethodPost, "/v1/responses", body, &o)
	return o.ID, err
}

// begin is submit, or submits a stream and stops reading at once.
func (c *client) begin(ctx context.Context, p mock.Plan, streamed bool) (string, error) {
	if !streamed {
		return c.submit(ctx, p)
	}
	r := &reader{leave: true}
	body, err := request(model, p, true)
	if err == nil {
		err = c.open(ctx, http.MethodPost, "/v1/responses", body, r)
	}
	if r.id == "" {
		return "", fmt.Errorf("no response was begun: %w", err)
	}
	return r.id, nil
}

func (c *client) object(ctx context.Context, id string) (o Object, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/responses/"+id, nil, &o)
	return o, err
}

func (c *client) steps(ctx context.Context, id string) ([]Step, error) {
	var list struct {
		Data []Step `json:"data"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/responses/"+id+"/steps", nil, &list)
	return list.Data, err
}

func (c *client) cancel(ctx context.Context, id string) (o Object, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/responses/"+id+"/cancel", nil, &o)
	return o, err
}

func (c *client) do(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" && method == http.MethodPost {
		req.Header.Set("Idempotency-Key", c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 if absent
		return &refusal{resp.StatusCode, after, string(text)}
	}
	return json.Unmarshal(text, into)
}
