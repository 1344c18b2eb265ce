package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"windlass.dev/windlass/services/mock"
)

// MaxReply bounds how much of an answer is read.
const MaxReply = 8 << 20

// NewHTTP returns a client that keeps one connection for each worker.
func NewHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true}}
}

// post sends a JSON body and decodes the JSON answer into reply.
func post(ctx context.Context, client *http.Client, url string, header http.Header, body, reply any) error {
	raw, ready := body.([]byte)
	if !ready {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxReply))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("call %s: status %d: %.300s", url, resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// Windlass is a client of the services under test.
type Windlass struct {
	URL  string // of the API, without a path
	HTTP *http.Client
}

type responseRequest struct {
	Model string           `json:"model"`
	Input string           `json:"input"`
	Tools []map[string]any `json:"tools"`
}

// response has the fields that are checked.
type response struct {
	Status string `json:"status"`
	Output []struct {
		Type    string `json:"type"`
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"output"`
	Error *struct {
		Code string `json:"code"`
	} `json:"error"`
}

// Run sends the plan as a foreground request and compares the answer.
func (w *Windlass) Run(ctx context.Context, plan mock.Plan) error {
	body := responseRequest{
		Model: ModelName, Input: plan.Prompt(), Tools: []map[string]any{{"type": "mcp", "server_label": "windlass"}},
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + APIKey}}
	var got response
	if err := post(ctx, w.HTTP, w.URL+"/v1/responses", header, body, &got); err != nil {
		return err
	}
	if got.Status != "completed" {
		code := ""
		if got.Error != nil {
			code = got.Error.Code
		}
		return fmt.Errorf("run plan %d: status %q, error %q, want completed", plan.Seed, got.Status, code)
	}
	return Compare(plan, got.text())
}

func (r *response) text() string {
	text := ""
	for _, item := range r.Output {
		if item.Type != "message" {
			continue
		}
		for _, part := range item.Content {
			text += part.Text
		}
	}
	return text
}

// Compare fails unless text is the answer that the plan must have.
func Compare(plan mock.Plan, text string) error {
	if want := plan.Answer(); text != want {
		return fmt.Errorf("run plan %d: the answer is %.200q, want %q", plan.Seed, text, want)
	}
	return nil
}
