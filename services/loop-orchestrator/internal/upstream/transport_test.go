package upstream

import (
	"net/http"
)

// freshClient shares no connections. Those of the default transport are shared
// by all tests, are closed by each httptest.Server that ends, and may lead to a
// server that is gone when a new one gets its port.
func freshClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}
