package startcheck

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/suggest"
	"windlass.dev/windlass/services/cli/dev/internal/console"
)

// checkModel checks a model's server, key and name.
func (c Checker) checkModel(ctx context.Context, m registry.Model, lists *lists) []Finding {
	u := m.Upstream
	secret, err := u.Credential.Resolve()
	if err != nil { // reported when the start fails
		return nil
	}
	found := func(what, hint string) []Finding { return []Finding{{Model: m.Name, What: what, Hint: hint}} }
	listed := lists.get(u.URL+"\n"+u.Credential.Env+"\n"+u.Credential.File, func() answer {
		return c.request(ctx, http.MethodGet, u, "/models", secret, nil)
	})
	switch {
	case listed.err != nil:
		return found(c.describeUnreachable(u, listed), c.Advice.Model(m, "connection_error", 0))
	case listed.status == http.StatusUnauthorized, listed.status == http.StatusForbidden,
		listed.status == http.StatusTooManyRequests, listed.status >= 500 && listed.status != http.StatusNotImplemented:
		return found(listed.describe(), c.Advice.Model(m, "", listed.status))
	case listed.status == http.StatusOK && listed.isList:
		return c.checkName(m, listed)
	}
	return c.checkByCall(ctx, m, secret)
}

func (c Checker) describeUnreachable(u registry.Upstream, a answer) string {
	return fmt.Sprintf("nothing answers at %s: %s", console.Address(u.URL), reason(a.err))
}

// checkName compares a model's name with the server's list.
func (c Checker) checkName(m registry.Model, listed answer) []Finding {
	name := m.Upstream.Model
	if name == "" || len(listed.models) == 0 || listed.anyName {
		return nil
	}
	if profile := m.Upstream.Effective().Profile; profile == registry.Azure || profile == registry.LlamaCpp {
		return nil // Azure lists models, but takes deployments; llama.cpp takes any name
	}
	same := func(l string) bool {
		return l == name || l == name+":latest" ||
			strings.TrimPrefix(l, "models/") == strings.TrimPrefix(name, "models/")
	}
	if slices.ContainsFunc(listed.models, same) {
		return nil
	}
	hint := "it lists " + listSome(listed.models)
	if meant := suggest.Names(name, listed.models); len(meant) > 0 {
		hint = fmt.Sprintf("did you mean %s? Write it as model: in the upstream of model %s",
			strings.Join(meant, " or "), m.Name)
	}
	return []Finding{{
		Model: m.Name, Hint: hint,
		What: fmt.Sprintf("the server at %s does not list a model %q", console.Address(m.Upstream.URL), name),
	}}
}

// listSome lists the first of many names.
func listSome(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// checkByCall makes the smallest possible call to a server that has no list.
func (c Checker) checkByCall(ctx context.Context, m registry.Model, secret string) []Finding {
	if m.Name == "*" {
		return c.checkBase(ctx, m, secret, answer{status: http.StatusNotFound})
	}
	path, body := "/chat/completions", map[string]any{
		"model": m.Upstream.Model, "messages": []any{map[string]string{"role": "user", "content": "Say ok."}},
		m.Upstream.Effective().MaxTokensField: 1,
	}
	if m.Upstream.Dialect == registry.Responses {
		path, body = "/responses", map[string]any{
			"model": m.Upstream.Model, "input": "Say ok.", "max_output_tokens": 16, "store": false,
		}
	}
	called := c.request(ctx, http.MethodPost, m.Upstream, path, secret, body)
	switch {
	case called.err != nil: // it answered a moment ago, and may be loading a model
		return nil
	case called.status == http.StatusNotFound, called.status == http.StatusMethodNotAllowed:
		return c.checkBase(ctx, m, secret, called)
	case called.status == http.StatusBadRequest, called.status == http.StatusUnprocessableEntity:
		return nil // the model may work with other parameters
	case called.status >= 400:
		return []Finding{{Model: m.Name, What: called.describe(), Hint: c.Advice.Model(m, "", called.status)}}
	}
	return nil
}

// checkBase checks whether the base URL lacks its /v1.
func (c Checker) checkBase(ctx context.Context, m registry.Model, secret string, called answer) []Finding {
	longer := m.Upstream
	longer.URL = strings.TrimRight(longer.URL, "/") + "/v1"
	if a := c.request(ctx, http.MethodGet, longer, "/models", secret, nil); a.err == nil && a.status < 300 && a.isList {
		return []Finding{{
			Model: m.Name, What: fmt.Sprintf("there is no API at %s", console.Address(m.Upstream.URL)),
			Hint: "write the URL as " + console.Address(longer.URL),
		}}
	}
	if m.Name == "*" { // a server need not have a list
		return nil
	}
	return []Finding{{Model: m.Name, What: called.describe(), Hint: c.Advice.Model(m, "", called.status)}}
}
