package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// Advisor advises what to do about a failure, from what is configured. The zero
// Advisor gives little advice.
type Advisor struct {
	Registry *registry.Registry
	// ModelKeyFile is the file with the credential of --model-url: advice calls
	// it --model-key.
	ModelKeyFile string
	// Flags says that the model named "*" is that of --model-url.
	Flags bool
}

// Credential returns the place at which to correct a secret.
func (a Advisor) Credential(c registry.Credential) string {
	switch {
	case c.Env != "":
		return "the environment variable " + c.Env
	case c.File != "" && c.File == a.ModelKeyFile:
		return "--model-key"
	case c.File != "":
		return "the file " + c.File
	}
	return ""
}

// Model advises on a failure of an upstream. status is 0 if it did not answer.
func (a Advisor) Model(m registry.Model, code string, status int) string {
	switch {
	case code == "model_not_found" && status == 0:
		return "add it to the registry file, or ask for a model that GET /v1/models lists"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return a.refusedKey(m)
	case status == http.StatusNotFound:
		return fmt.Sprintf("check that %s is the base URL (it often ends in /v1) and that the server has a model %q",
			Address(m.Upstream.URL), m.Upstream.Model)
	case status == http.StatusTooManyRequests:
		return fmt.Sprintf(
			"the upstream limits its callers: lower concurrency of model %s, or raise its limit there", m.Name)
	case status >= 500:
		return "see the log of the server at " + Address(m.Upstream.URL)
	case status >= 400:
		return "the server does not take this request; docs/models.md has the settings for servers that differ"
	case strings.Contains(code, "credential"):
		return a.missing(m.Upstream.Credential)
	case code == "timeout":
		return fmt.Sprintf("raise timeout of model %s (now %s), or see why the server at %s is slow",
			m.Name, m.Timeout, Address(m.Upstream.URL))
	case code == "connection_error":
		return fmt.Sprintf("is the server at %s running?", Address(m.Upstream.URL))
	}
	return ""
}

func (a Advisor) refusedKey(m registry.Model) string {
	switch where := a.Credential(m.Upstream.Credential); {
	case m.Upstream.Credential.File != "" && m.Upstream.Credential.File == a.ModelKeyFile:
		return "check " + where
	case where != "":
		return fmt.Sprintf("check %s, the credential of model %s", where, m.Name)
	case a.Flags && m.Name == "*":
		return "pass the upstream's key by --model-key"
	default:
		return fmt.Sprintf("model %s has no credential: add credential: {env: NAME} to its upstream", m.Name)
	}
}

func (a Advisor) missing(c registry.Credential) string {
	if where := a.Credential(c); where != "" {
		return "set " + where + " and start again"
	}
	return ""
}

// Tool advises on a failure of a tool. status is 0 if it did not answer.
func (a Advisor) Tool(t registry.Tool, code string, status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		if where := a.Credential(t.Credential); where != "" {
			return fmt.Sprintf("check %s, the credential of tool %s", where, t.Name)
		}
		return fmt.Sprintf("tool %s has no credential: add credential: {env: NAME}", t.Name)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Sprintf("check its url (%s) and method (%s)", Address(t.URL), t.Method)
	case status >= 500:
		return "see the log of the server at " + Address(t.URL)
	case code == "address_refused" && !t.AllowPrivate:
		return fmt.Sprintf("add allow_private: true to tool %s if %s is yours", t.Name, Address(t.URL))
	case code == "connection_error":
		return fmt.Sprintf("is the server at %s running?", Address(t.URL))
	case code == "timeout":
		return fmt.Sprintf("raise timeout of tool %s (now %s), or see why it is slow", t.Name, t.Timeout)
	case code == "credential_error":
		return a.missing(t.Credential)
	}
	return ""
}

func (a Advisor) modelHint(name, code string, status int) string {
	if a.Registry == nil {
		return ""
	}
	m, found := a.Registry.Model(name)
	if !found {
		return a.Model(registry.Model{Name: name}, "model_not_found", 0)
	}
	if !a.lists(name) {
		m.Name = "*" // its name in the file or of the flags
	}
	return a.Model(m, code, status)
}

func (a Advisor) lists(name string) bool {
	for _, m := range a.Registry.Models() {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (a Advisor) toolHint(name, code string, status int) string {
	if a.Registry == nil {
		return ""
	}
	t, found := a.Registry.Tool(name)
	if !found {
		return "it is no longer in the registry file"
	}
	return a.Tool(t, code, status)
}

// clientHint advises the caller of the API.
func (a Advisor) clientHint(status, code string) string {
	switch {
	case status == "401":
		return "send Authorization: Bearer and the key of --api-key; SDKs take it as api_key"
	case code == "model_not_found":
		return "GET /v1/models lists the models"
	case status == "503":
		return "the client may try again when Postgres and NATS answer"
	case status == "500":
		return "this is a fault of Windlass: please report it with this line"
	}
	return ""
}

// Address returns a URL without user, password and query.
func Address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "its URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
