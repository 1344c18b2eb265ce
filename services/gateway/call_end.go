package gateway

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// showCall answers with the end of a request that is one model call: the
// upstream's answer, its chunks if it was streamed, or an HTTP error.
func (s *server) showCall(x *httpapi.Exchange, a *answers.Answer) error {
	if a.Status == run.Completed && a.Streamed {
		return s.retellCall(x, a)
	}
	if a.Status == run.Completed && a.Final != nil {
		x.Send(http.StatusOK, a.Final)
		return nil
	}
	f, err := callFault(a)
	if err != nil {
		return err
	}
	s.sendCallFault(x, f)
	return nil
}

func (s *server) sendCallFault(x *httpapi.Exchange, f *fault.Error) {
	x.SetRetryHeaders(f)
	if f.Status == http.StatusConflict || f.Status == http.StatusTooManyRequests || f.Status >= http.StatusInternalServerError {
		// SDKs repeat these unless told otherwise, and all attempts that the
		// model's upstream is to be given were made.
		x.Header().Set("X-Should-Retry", "false")
	}
	x.Send(f.Status, f.JSON())
}

// callFault is what a request that is one model call failed of.
func callFault(a *answers.Answer) (*fault.Error, error) {
	switch a.Status {
	case run.Failed:
		if a.Final != nil {
			why := run.ReadFailure(a.Final)
			f := upstreamFault(why)
			f.RetryAfter = why.RetryAfter
			return f, nil
		}
	case run.Expired:
		return serverFault(http.StatusGatewayTimeout, "deadline_exceeded", "The request was not completed before its deadline."), nil
	case run.Cancelled:
		return serverFault(http.StatusServiceUnavailable, "request_cancelled", "The request was cancelled."), nil
	case run.Queued, run.InProgress, run.Completed, run.Incomplete:
	}
	return nil, fmt.Errorf("show request %s: it is %s and has no answer", a.ID, a.Status)
}

// upstreamFault is a failed call as HTTP says it. Where the request is at
// fault, or a limit was hit, the upstream's own error is the answer. What is
// between us and the upstream is a gateway's error: the client can't do
// anything about it.
func upstreamFault(why run.Failure) *fault.Error {
	var own struct{ Message, Type, Param, Code string }
	switch {
	case why.HTTPStatus == http.StatusRequestTimeout || why.Code == "timeout":
		return serverFault(http.StatusGatewayTimeout, why.Code, why.Message)
	case why.Own != nil && json.Unmarshal(why.Own, &own) == nil:
		return &fault.Error{Status: why.HTTPStatus, Message: own.Message, Type: own.Type, Param: own.Param, Code: own.Code}
	case why.HTTPStatus != 0 || why.Code == "connection_error":
		return serverFault(http.StatusBadGateway, why.Code, why.Message)
	case why.Code == run.CodePreviousNotFound: // deleted since the request was accepted
		return fault.Invalid("previous_response_id", why.Code, why.Message)
	case why.Code == "invalid_encrypted_content": // so was the key that it was sealed with
		return fault.Invalid("", why.Code, why.Message)
	case why.Code == "model_not_found": // it was configured when the request was accepted
		return &fault.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: why.Code, Param: "model", Message: why.Message}
	}
	return serverFault(http.StatusInternalServerError, why.Code, why.Message)
}

func serverFault(status int, code, message string) *fault.Error {
	return &fault.Error{Status: status, Type: "server_error", Code: cmp.Or(code, "server_error"), Message: message}
}
