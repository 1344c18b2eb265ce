package startcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"windlass.dev/windlass/pkg/registry"
)

const (
	// maxAnswer bounds how much of an answer is read; the longest known list of
	// models has 600 kB.
	maxAnswer = 4 << 20
	maxWords  = 200
)

// answer is the answer of a server.
type answer struct {
	err    error // there is no answer
	status int
	words  string // of an error

	isList  bool // the body is a list of models
	models  []string
	anyName bool // the server accepts any name for its one model
}

func (a answer) describe() string {
	if a.words == "" {
		return strings.TrimSpace(fmt.Sprintf("the upstream answered %d %s", a.status, http.StatusText(a.status)))
	}
	return fmt.Sprintf("the upstream answered %d %q", a.status, a.words)
}

// request sends one request to an upstream.
func (c Checker) request(
	ctx context.Context, method string, u registry.Upstream, path, secret string, body any,
) answer {
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{err: err}
		}
		content = bytes.NewReader(b)
	}
	at, err := u.Endpoint(path)
	if err != nil {
		return answer{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, method, at, content)
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "windlass")
	u.SetHeaders(req.Header, secret)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{err: err}
	}
	a := answer{status: resp.StatusCode}
	if resp.StatusCode < 300 {
		a.readList(b)
	} else {
		a.words = errorText(b, secret)
	}
	return a
}

// readList reads a list of models in OpenAI's format, or Ollama's.
func (a *answer) readList(b []byte) {
	var body struct {
		Data []struct {
			ID    string `json:"id"`
			Owner string `json:"owned_by"`
		} `json:"data"`
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if json.Unmarshal(b, &body) != nil || body.Data == nil && body.Models == nil {
		return
	}
	a.isList = true
	for _, m := range body.Data {
		if m.ID != "" {
			a.models = append(a.models, m.ID)
		}
		// llama-server and llama-cpp-python serve one model under every name.
		a.anyName = a.anyName || m.Owner == "llamacpp" || m.Owner == "me"
	}
	if len(a.models) > 0 {
		return
	}
	for _, m := range body.Models {
		a.models = append(a.models, m.Name)
	}
}

// errorText finds the message of an error in the formats of the known servers.
func errorText(b []byte, secret string) string {
	text := strings.TrimSpace(string(b))
	var body any
	if json.Unmarshal(b, &body) == nil {
		text = message(body)
	} else if strings.HasPrefix(text, "<") { // an HTML page is no message
		return ""
	}
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}

func message(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 {
			return message(v[0])
		}
	case map[string]any:
		for _, name := range []string{"error", "message", "detail", "msg", "error_description"} {
			if inner, ok := v[name]; ok {
				if text := message(inner); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

// reason says why there is no answer. It leaves out the address, whose query
// may have a secret.
func reason(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return "its host name " + name.Name + " is not known"
	case errors.As(err, &certificate):
		return "its certificate is not valid: " + certificate.Err.Error()
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS; write http:// instead of https://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer in %s", Within)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it closes the connection"
	}
	if inner := errors.Unwrap(err); inner != nil { // of *url.Error
		return inner.Error()
	}
	return "it cannot be asked"
}
