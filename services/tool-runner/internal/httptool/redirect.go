package httptool

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// redirectError is a redirect that is not followed. Its text is for the model.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// send makes a call, and sends it again unchanged if the tool redirects it.
// http.Client would turn a POST into a GET without a body after a 301 or 302,
// and the answer of that would count as the call's.
func send(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	var via []*http.Request
	for {
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		to, err := redirect(resp)
		if to == nil && err == nil {
			return resp, nil
		}
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		via = append(via, req)
		next := req.Clone(req.Context())
		next.URL, next.Host = to, ""
		if next.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		if err := checkRedirect(next, via); err != nil {
			return nil, err
		}
		req = next
	}
}

// redirect returns the target of a redirect; nil if the answer is not
// redirected.
func redirect(resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusSeeOther: // the tool has handled the call and names a page about it
		if m := resp.Request.Method; m != http.MethodGet && m != http.MethodHead {
			return nil, redirectError("the tool answered 303 See Other, a redirect to another page, " +
				"which is not fetched: a tool has to answer the call itself")
		}
	default:
		return nil, nil
	}
	if resp.Header.Get("Location") == "" {
		return nil, nil
	}
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return nil, redirectError("the tool redirected the call to a Location that is no URL")
	}
	to.User = nil
	return to, nil
}

// checkRedirect refuses a redirect or makes it safe. The scheme may only change
// from http to https, and the credential is dropped for another host.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	upgrade := first.Scheme == "http" && next.URL.Scheme == "https" && next.URL.Port() == ""
	switch {
	case len(via) > maxRedirects:
		return redirectError(fmt.Sprintf("the tool redirected the call more than %d times", maxRedirects))
	case next.URL.Scheme != first.Scheme && !upgrade:
		return redirectError("the tool redirected the call to another scheme, where it is not sent")
	case next.URL.Port() != first.Port() && next.URL.Port() != "":
		return redirectError("the tool redirected the call to another port, where it is not sent")
	}
	elsewhere := func(r *http.Request) bool { return !strings.EqualFold(r.URL.Host, first.Host) }
	if elsewhere(next) || slices.ContainsFunc(via, elsewhere) {
		next.Header.Del("Authorization")
	}
	return nil
}
