// Package httptool makes one tool call over HTTP. It is pure, and the only code
// of Windlass that dials an address that a user chose.
//
// It promises:
//
//   - Each dialled address, the first one and those of redirects, is checked
//     after name resolution, so that a name that changes its address gains
//     nothing. Only public addresses are allowed; Call.AllowPrivate adds
//     loopback and private networks. Addresses that serve a cloud's credentials
//     are always refused. No proxy is used (TestGuard, FuzzGuard,
//     TestRefusedAddresses).
//   - A call ends with its context, or if an answer pauses for a minute. It
//     holds no more memory than the output that it allows, however large the
//     decompressed answer is (TestTimeouts, TestLargeAnswerIsCutAndLeft).
//   - A redirect (301, 302, 307, 308) sends the call again unchanged: method,
//     body and headers. At most 3, from http to http or https, to the same port
//     or the scheme's own; the credential goes to no other host. Any other
//     redirect, and 303, fails the call. Cookies are neither kept nor sent
//     (TestRedirects, TestCredentialStaysAway).
//   - A text in another charset (by Content-Type, byte order mark or its own
//     declaration) is converted to UTF-8.
//   - An output is valid UTF-8 without NUL: invalid bytes and NUL become
//     U+FFFD, because models and JSON parsers refuse them. Binary content is
//     replaced by a note of its type and size.
//   - No output and no failure contains the credential, the URL or an internal
//     address (TestCredentialIsNotRepeated).
//
// It does not promise that a failed call had no effect. Repeated calls have the
// same Idempotency-Key, and net/http itself repeats a call if the tool closes a
// kept connection without an answer; Call.Once uses new connections instead
// (TestOnceIsSentOnce). It does not retry: run.Failure reports whether another
// attempt may succeed.
package httptool
