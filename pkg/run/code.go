package run

// Code is the code of an error, of a failure, or of an incomplete response.
type Code = string

// The codes that Windlass itself gives. Upstreams and tools add their own.
const (
	// Codes of OpenAI's API, of a response or of an error.
	CodeServerError           Code = "server_error"
	CodeRateLimitExceeded     Code = "rate_limit_exceeded"
	CodeInvalidPrompt         Code = "invalid_prompt"
	CodeModelNotFound         Code = "model_not_found"
	CodeInsufficientQuota     Code = "insufficient_quota"
	CodePreviousNotFound      Code = "previous_response_not_found"
	CodeConversationLocked    Code = "conversation_locked"
	CodeInvalidEncrypted      Code = "invalid_encrypted_content"
	CodeServiceUnavailable    Code = "service_unavailable"
	CodeContextLengthExceeded Code = "context_length_exceeded"

	// Reasons of an incomplete response.
	CodeMaxOutputTokens Code = "max_output_tokens"
	CodeContentFilter   Code = "content_filter"
	CodeMaxTurns        Code = "max_turns"
	CodeMaxToolCalls    Code = "max_tool_calls"
	CodeMaxOutputBytes  Code = "max_output_bytes"

	// A history that cannot be continued.
	CodePreviousNotReady    Code = "previous_response_not_ready"
	CodePreviousFailed      Code = "previous_response_failed"
	CodePreviousTooLong     Code = "previous_response_chain_too_long"
	CodeConversationTooLong Code = "conversation_too_long"

	// A refused field.
	CodeInvalidValue         Code = "invalid_value"
	CodeInvalidType          Code = "invalid_type"
	CodeUnsupportedValue     Code = "unsupported_value"
	CodeUnsupportedParameter Code = "unsupported_parameter"

	// Failures of a call to a model or a tool.
	CodeTimeout         Code = "timeout"
	CodeConnection      Code = "connection_error"
	CodeUnauthorized    Code = "upstream_unauthorized"
	CodeForbidden       Code = "upstream_forbidden"
	CodeRedirect        Code = "upstream_redirect"
	CodeNotFound        Code = "upstream_not_found"
	CodeConflict        Code = "upstream_conflict"
	CodeRequestTooLarge Code = "request_too_large"

	// Failures of a run or of one of its tool calls.
	CodeDeadlineExceeded  Code = "deadline_exceeded"
	CodeRequestCancelled  Code = "request_cancelled"
	CodePoison            Code = "poison"
	CodeUndecodable       Code = "undecodable"
	CodeUnknownTool       Code = "unknown_tool"
	CodeUnknownOutcome    Code = "unknown_outcome"
	CodeInvalidArguments  Code = "invalid_arguments"
	CodeArgumentsTooLarge Code = "arguments_too_large"
	CodeTooManyParallel   Code = "too_many_parallel_calls"
	CodeCallIncomplete    Code = "incomplete"
	CodeCredential        Code = "credential_error"
	CodeBadOutput         Code = "bad_output"
	CodeMarkRefused       Code = "mark_refused"
	CodeAddressRefused    Code = "address_refused"
	CodeRedirectRefused   Code = "redirect_refused"
)
