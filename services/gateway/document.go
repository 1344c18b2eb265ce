package gateway

import (
	"net/http"

	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/openapi"
)

// document is GET /openapi.json.
func document(x *httpapi.Exchange, _ *http.Request) error {
	text, err := openapi.Document()
	if err != nil {
		return err
	}
	x.Send(http.StatusOK, text)
	return nil
}
