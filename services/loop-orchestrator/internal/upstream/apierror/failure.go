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

// passing are the statuses after which another attempt can succeed. Besides
// those of DESIGN section 6: 423 and 425 say "not now", 498 is Groq's lack of
// capacity, and 520 to 524 are Cloudflare's for a server that it did not reach.
// 409 is final: nothing says that the conflict ends by itself.
var passing = map[int]bool{
	http.StatusRequestTimeout: true, http.StatusLocked: true, http.StatusTooEarly: true,
	http.StatusTooManyRequests: true, 498: true,
	http.StatusInternalServerError: true, http.StatusBadGateway: true,
	http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
	520: true, 521: true, 522: true, 523: true, 524: true, 529: true,
}

// codeShape is what an upstream's code has to look like to be passed on: it
// becomes the response's, and a label in the row. A number says nothing that
// the status does not.
var codeShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// Refused is the failure of a call that was answered with a status other than
// 200.
func Refused(status int, w Words) *run.Failure {
	e := failure(status, w)
	prefix := "The upstream answered HTTP " + strconv.Itoa(status)
	if w.Message == "" {
		e.Message = prefix + "."
	} else {
		e.Message = prefix + ": " + w.Message
	}
	return e
}

// Reported is the failure that an upstream reports in an answer that came with
// status 200.
func Reported(w Words) *run.Failure {
	status := cmp.Or(w.Status, statusOf(w.Code), statusOf(w.Type))
	switch {
	case status != 0:
	case w.Code != "" && !isNumber(w.Code): // a reason of its own, like a policy's
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	e := failure(status, w)
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

// isNumber tells whether a code is a server's own number, which says nothing
// here.
func isNumber(code string) bool {
	_, err := strconv.ParseFloat(code, 64)
	return err == nil
}

func failure(status int, w Words) *run.Failure {
	e := &run.Failure{
		HTTPStatus: status, Code: codeOf(status, w), RetryAfter: w.Wait,
		Retriable: passing[status] && !spent(w) || status == http.StatusBadRequest && modelFailed(w),
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

func codeOf(status int, w Words) string {
	word := codeShape.MatchString(w.Code)
	switch {
	case status == http.StatusTooManyRequests && spent(w) && word:
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
	case (status == http.StatusNotFound || status == http.StatusBadRequest) && noModel.MatchString(w.Message):
		return "model_not_found"
	case word && !passing[status]:
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

// noModel matches what servers say about a model that they do not have.
var noModel = regexp.MustCompile(
	`(?is)\b(model|deployment)\b.{0,200}\b(not found|does not exist|doesn't exist|not exist|is unknown|not available|is not loaded)\b` +
		`|\b(no such|unknown|not a valid) (model|deployment)\b|\bno model named\b`)

// spent tells whether a limit does not lift by itself soon: a quota that is
// paid for, or a request that is larger than what the limit allows at all.
func spent(w Words) bool {
	switch w.Code {
	case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
		"credit_balance_too_low":
		return true
	}
	return w.Type == "insufficient_quota" || strings.HasPrefix(w.Message, "Request too large for")
}

// modelFailed tells whether a 400 is the model's failure: it wrote a call or a
// JSON text that the server could not parse. The next try mostly works.
func modelFailed(w Words) bool {
	switch w.Code {
	case "tool_use_failed", "output_parse_failed", "json_validate_failed":
		return true
	}
	return w.ModelFailed
}

// families are the statuses of error words, by a part of the word without its
// case and punctuation; the first match counts.
var families = []struct {
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

// statusOf is the status that fits a code or type; 0 if it is unknown.
func statusOf(word string) int {
	word = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(word))
	for _, f := range families {
		if strings.Contains(word, f.part) {
			return f.status
		}
	}
	return 0
}
