package registry

import (
	"net/http"
	"strings"
)

// SetHeaders sets the headers of the settings: the extra ones, and that of the
// credential, unless secret is empty. They are for the upstream's own host
// only.
func (u Upstream) SetHeaders(to http.Header, secret string) {
	for name, value := range u.Headers {
		to.Set(name, value)
	}
	if secret == "" {
		return
	}
	name := u.Effective().KeyHeader
	if strings.EqualFold(name, Authorization) {
		secret = "Bearer " + secret
	}
	to.Set(name, secret)
}
