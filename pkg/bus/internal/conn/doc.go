// Package conn is a connection to NATS that keeps the streams and consumers of
// its topology in existence: it ensures them at the start, repairs what is
// missing, replaces a stream that lost its files, and watches for losses.
//
// Its promises are those of package bus, whose tests hold them on a real
// server. Unavailable, the classification of errors, has its test here
// (TestUnavailable).
package conn
