package apierror

import (
	"cmp"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
)

// retriableStatus has the statuses after which another attempt can succeed.
// Some are of one kind of server: 423 and 425 mean "not now", 498 is Groq's
// lack of capacity, and 520 to 524 are Cloudflare's for a server that it cannot
// reach. 409 is final: the conflict may not end by itself.
var retriableStatus = map[int]bool{
	http.StatusRequestTimeout: true, http.StatusLocked: true, http.StatusTooEarly: true,
	http.StatusTooManyRequests: true, 498: true,
	http.StatusInternalServerError: true, http.StatusBadGateway: true,
	http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
	520: true, 521: true, 522: true, 523: true, 524: true, 529: true,
}

// codeShape is the shape of an upstream's code that is passed on: it becomes
// the code of the response and of the row. A number adds nothing to the status.
var codeShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// Rejected returns the failure of a call that was answered with a status other
// than success.
func Rejected(status int, w Details) *run.Failure {
	e := newFailure(status, w)
	prefix := "The upstream answered HTTP " + strconv.Itoa(status)
	if w.Message == "" {
		e.Message = prefix + "."
	} else {
		e.Message = prefix + ": " + w.Message
	}
	return e
}

// Reported returns the failure that an answer with status 200 reports.
func Reported(w Details) *run.Failure {
	status := cmp.Or(w.Status, guessStatus(w.Code), guessStatus(w.Type))
	switch {
	case status != 0:
	case w.Code != "" && !isNumber(w.Code): // a reason of its own, like a policy's
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	e := newFailure(status, w)
	if codeShape.MatchString(w.Code) && w.Status == 0 {
		e.Code = w.Code
	}
	switch {
	case w.Message == "":
		e.Message = "The upstream reported that its response failed."
	case w.Status != 0:
		e.Message = "The upstream reported error " + strconv.Itoa(w.Status) + ": " + w.Message
	default:
		e.Message = w.Message
	}
	return e
}

// isNumber reports whether a code is a server's own number, which means nothing
// here.
func isNumber(code string) bool {
	_, err := strconv.ParseFloat(code, 64)
	return err == nil
}

func newFailure(status int, w Details) *run.Failure {
	e := &run.Failure{
		HTTPStatus: status, Code: chooseCode(status, w), RetryAfter: w.Wait,
		Retriable: retriableStatus[status] && !isExhausted(w) || status == http.StatusBadRequest && isModelFault(w),
	}
	own := fault.Error{
		Message: cmp.Or(w.Message, "The upstream answered HTTP "+strconv.Itoa(status)+"."),
		Type:    cmp.Or(w.Type, "invalid_request_error"), Param: w.Param, Code: w.Code,
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired: // not the client's credential
	default:
		if status >= 400 && status < 500 {
			e.Own = own.AppendJSON(nil)
		}
	}
	return e
}

func chooseCode(status int, w Details) string {
	word := codeShape.MatchString(w.Code)
	switch {
	case status == http.StatusTooManyRequests && isExhausted(w) && word:
		return w.Code
	case status == http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case status == http.StatusRequestTimeout:
		return "timeout"
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return "upstream_unauthorized"
	case status == http.StatusForbidden:
		return "upstream_forbidden"
	case status < 400:
		return "upstream_redirect"
	case status == http.StatusPaymentRequired:
		return "insufficient_quota"
	case (status == http.StatusNotFound || status == http.StatusBadRequest) && modelMissing.MatchString(w.Message):
		return "model_not_found"
	case word && !retriableStatus[status]:
		return w.Code
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return "upstream_not_found"
	case status == http.StatusConflict:
		return "upstream_conflict"
	case status == http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case status < 500:
		return "invalid_prompt"
	}
	return "server_error"
}

// modelMissing matches what servers say about a model that they do not have.
var modelMissing = regexp.MustCompile(
	`(?is)\b(model|deployment)\b.{0,200}` +
		`\b(not found|does not exist|doesn't exist|not exist|is unknown|not available|is not loaded)\b` +
		`|\b(no such|unknown|not a valid) (model|deployment)\b|\bno model named\b`)

// isExhausted reports whether a limit does not reset soon: a paid quota, or a
// request that is larger than the whole limit.
func isExhausted(w Details) bool {
	switch w.Code {
	case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
		"credit_balance_too_low":
		return true
	}
	return w.Type == "insufficient_quota" || strings.HasPrefix(w.Message, "Request too large for")
}

// isModelFault reports whether a 400 is the model's fault: it wrote a call or
// JSON that the server could not parse. The next attempt usually works.
func isModelFault(w Details) bool {
	switch w.Code {
	case "tool_use_failed", "output_parse_failed", "json_validate_failed":
		return true
	}
	return w.ModelFailed
}

// statusWords are the statuses of error words, by a part of the word without
// case and punctuation. The first match counts.
var statusWords = []struct {
	part   string
	status int
}{
	{"tooluse", http.StatusBadRequest},
	{"ratelimit", http.StatusTooManyRequests},
	{"toomanyrequests", http.StatusTooManyRequests},
	{"resourceexhausted", http.StatusTooManyRequests},
	{"insufficientquota", http.StatusTooManyRequests},
	{"overload", http.StatusServiceUnavailable},
	{"unavailable", http.StatusServiceUnavailable},
	{"capacity", http.StatusServiceUnavailable},
	{"busy", http.StatusServiceUnavailable},
	{"slowdown", http.StatusServiceUnavailable},
	{"timeout", http.StatusGatewayTimeout},
	{"timedout", http.StatusGatewayTimeout},
	{"internal", http.StatusInternalServerError},
	{"servererror", http.StatusInternalServerError},
	{"modelerror", http.StatusInternalServerError},
	{"apierror", http.StatusInternalServerError},
	{"network", http.StatusBadGateway},
	{"connectionerror", http.StatusBadGateway},
	{"badgateway", http.StatusBadGateway},
	{"invalidapikey", http.StatusUnauthorized},
	{"authentication", http.StatusUnauthorized},
	{"unauthorized", http.StatusUnauthorized},
	{"permission", http.StatusForbidden},
	{"forbidden", http.StatusForbidden},
	{"notfound", http.StatusNotFound},
	{"toolarge", http.StatusRequestEntityTooLarge},
	{"invalid", http.StatusBadRequest},
	{"badrequest", http.StatusBadRequest},
	{"context", http.StatusBadRequest},
	{"validation", http.StatusBadRequest},
	{"unsupported", http.StatusBadRequest},
	{"notsupported", http.StatusBadRequest},
	{"filter", http.StatusBadRequest},
}

// guessStatus returns the status that fits a code or type; 0 if it is unknown.
func guessStatus(word string) int {
	word = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(word))
	for _, f := range statusWords {
		if strings.Contains(word, f.part) {
			return f.status
		}
	}
	return 0
}
