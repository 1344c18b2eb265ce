package render

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

// SendCallFault answers a request that is one model call with an error.
func SendCallFault(x *httpapi.Exchange, f *fault.Error) {
	x.SetRetryHeaders(f)
	if f.Status == http.StatusConflict || f.Status == http.StatusTooManyRequests ||
		f.Status >= http.StatusInternalServerError {
		// SDKs repeat these unless the header forbids it, and the row has made
		// all attempts that the model's upstream gets.
		x.Header().Set("X-Should-Retry", "false")
	}
	x.Send(f.Status, f.JSON())
}

// CallFault returns why a request that is one model call failed.
func CallFault(a *answers.Answer) (*fault.Error, error) {
	switch a.Status {
	case run.Failed:
		if a.Final != nil {
			why := run.ReadFailure(a.Final)
			f := upstreamFault(why)
			f.RetryAfter = why.RetryAfter
			return f, nil
		}
	case run.Expired:
		return ServerFault(
			http.StatusGatewayTimeout, run.CodeDeadlineExceeded, "The request was not completed before its deadline.",
		), nil
	case run.Cancelled:
		return ServerFault(http.StatusServiceUnavailable, run.CodeRequestCancelled, "The request was cancelled."), nil
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
	case why.HTTPStatus == http.StatusRequestTimeout || why.Code == run.CodeTimeout:
		return ServerFault(http.StatusGatewayTimeout, why.Code, why.Message)
	case why.Own != nil && json.Unmarshal(why.Own, &own) == nil:
		return &fault.Error{
			Status: why.HTTPStatus, Message: own.Message, Type: own.Type, Param: own.Param, Code: own.Code,
		}
	case why.HTTPStatus != 0 || why.Code == run.CodeConnection:
		return ServerFault(http.StatusBadGateway, why.Code, why.Message)
	case why.Code == run.CodePreviousNotFound: // deleted since the request was accepted
		return fault.Invalid("previous_response_id", why.Code, why.Message)
	case why.Code == run.CodeInvalidEncrypted: // so was the key that it was sealed with
		return fault.Invalid("", why.Code, why.Message)
	case why.Code == run.CodeModelNotFound: // it was configured when the request was accepted
		return &fault.Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: why.Code, Param: "model",
			Message: why.Message,
		}
	}
	return ServerFault(http.StatusInternalServerError, why.Code, why.Message)
}

// ServerFault returns an error of the type server_error.
func ServerFault(status int, code, message string) *fault.Error {
	return &fault.Error{Status: status, Type: "server_error", Code: cmp.Or(code, "server_error"), Message: message}
}
