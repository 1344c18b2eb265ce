// Package httptool makes one tool call over HTTP. It knows neither the bus nor
// the store, and it is the only code of Windlass that dials an address somebody
// else chose.
//
// What it promises:
//
//   - Every address that is dialled, the first one's and each redirect's, is
//     checked after name resolution, so that a name that changes its mind leads
//     nowhere. Public addresses only; Call.AllowPrivate adds loopback and
//     private networks and nothing else. Addresses known to serve a cloud's
//     credentials are refused in both cases. No proxy is asked.
//   - A call ends with its context, or when an answer that has begun says
//     nothing for a minute, and holds no more memory than the output it was
//     allowed, however large the answer is once decompressed. What is over is
//     not read.
//   - A redirect (301, 302, 307, 308) sends the call again as it was: method,
//     body and headers. At most 3, from http to http or https, to the same or
//     the scheme's own port; the credential goes to no other host, and stays
//     away after the first one. Any other redirect, and 303, fails the call.
//     Cookies are neither kept nor sent.
//   - A text in another charset, by its Content-Type, its byte order mark or
//     its own declaration, is converted to UTF-8; byte order marks are removed.
//   - An output is valid UTF-8 without NUL characters: a byte that is no part
//     of a character, and each NUL, becomes U+FFFD, because neither a model nor
//     a client's JSON parser takes them. Binary content becomes a note of its
//     type and size.
//   - Neither an output nor a failure contains the credential, the URL or an
//     address of the inner network.
//
// What it does not promise:
//
//   - That a failed call had no effect. A call that is made more than once
//     bears the same Idempotency-Key; net/http itself repeats a call over a
//     kept connection that the tool closed unanswered. Call.Once forgoes kept
//     connections, and with them such repeats.
//   - To retry. Failure says whether another attempt may do better; the row
//     decides.
package httptool

import ()
