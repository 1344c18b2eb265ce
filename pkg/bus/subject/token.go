package subject

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	// maxToken bounds a subject token; longer names are cut and carry a hash.
	maxToken = 100
	// hashDigits of a name's SHA-256 follow a name that had to be changed.
	hashDigits = 6
)

// IsToken reports whether s can be a token of a subject unchanged.
func IsToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// Token turns a name into a token. A name that is a token stays unchanged;
// every other name, the empty one too, gets the first digits of its SHA-256
// appended, so that two names never share a token.
func Token(name string) string {
	if IsToken(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	fit := []byte(name)
	if len(fit) > maxToken-hashDigits-1 {
		fit = fit[:maxToken-hashDigits-1]
	}
	for i, c := range fit {
		if !isTokenByte(c) {
			fit[i] = '_'
		}
	}
	return string(fit) + "-" + hex.EncodeToString(sum[:hashDigits/2])
}
