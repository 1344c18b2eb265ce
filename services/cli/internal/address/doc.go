// Package address reads the addresses and URLs of flags, listens on them and
// prints them. Its errors say what to write instead, in one line.
package address
