package gateway

import (
	"net/http"

	"windlass.dev/windlass/services/internal/openapi"
)

// document is GET /openapi.json.
func (s *server) document(x *exchange, _ *http.Request) error {
	text, err := openapi.Document()
	if err != nil {
		return err
	}
	s.send(x, http.StatusOK, text)
	return nil
}
