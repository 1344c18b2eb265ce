package openapitest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestAnswersAreCheckedAgainstTheDocument(t *testing.T) {
	t.Parallel()
	const fault = `{"error":{"message":"m","type":"t","param":null,"code":null}}`
	invalid := new(*jsonschema.ValidationError)
	for _, tt := range []struct {
		name, method, path string
		status             int
		kind, body         string
		want               any // nil, an error, or a pointer to an error type
	}{
		{"as described", "GET", "/v1/models", 200, "application/json", `{"object":"list","data":[],"has_more":false}`, nil},
		{"a member is missing", "GET", "/v1/models", 200, "application/json", `{"object":"list","data":[]}`, invalid},
		{"a schema behind references", "GET", "/v1/responses/resp_1", 200, "application/json", `{"id":"resp_1"}`, invalid},
		{"an error", "POST", "/v1/responses/resp_1/cancel", 404, "application/json; charset=utf-8", fault, nil},
		{"an error without its envelope", "GET", "/v1/models", 500, "application/json", `{}`, invalid},
		{"another good status", "GET", "/v1/models", 201, "application/json", `{}`, errUndescribed},
		{"another type", "GET", "/v1/models", 200, "text/html", ``, errUndescribed},
		{"no route", "GET", "/v1/nothing", 404, "application/json", ``, nil},
		{"no method", "PUT", "/v1/models", 405, "application/json", ``, nil},
		{"a route that is hidden", "GET", "/v1/nothing", 200, "application/json", `{}`, errUndescribed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			err := read(t).check(r, tt.status, http.Header{"Content-Type": {tt.kind}}, []byte(tt.body))
			ok := err == nil
			switch want := tt.want.(type) {
			case error:
				ok = errors.Is(err, want)
			case **jsonschema.ValidationError:
				var got *jsonschema.ValidationError
				ok = errors.As(err, &got)
			}
			if !ok {
				t.Errorf("check says %v", err)
			}
		})
	}
}
