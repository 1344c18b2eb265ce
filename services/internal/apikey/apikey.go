// Package apikey makes and reads API keys.
//
// A key is wl_<id>_<secret>. The id is public: lists show it, and a key is
// looked up by it. The secret has 260 bits and is not stored: the database
// holds its HMAC under a pepper that the database does not have, so that
// neither alone makes or proves a key.
//
// An id ends in six letters that only the pepper's owner can make.
// [Pepper.Read] refuses made-up ids by one HMAC and without a lookup, so that a
// flood of them costs the database nothing (BenchmarkRefuse): one made-up id in
// 2^30 gets through. It does not promise that a key it reads exists, is active,
// or has the right secret.
package apikey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/secrets"
)

// The rights of a key.
const (
	ScopeResponses = "responses" // everything but keys
	ScopeRead      = "read"      // of that GETs only
	ScopeAdmin     = "admin"     // the tenant's keys
)

// Scopes are all scopes; the first is the default.
var Scopes = []string{ScopeResponses, ScopeRead, ScopeAdmin}

const (
	prefix    = string(run.KeyPrefix)
	drawn     = 10 // letters of an id that are drawn
	proof     = 6  // letters of an id that follow from them and the pepper
	idLen     = drawn + proof
	secretLen = 52
	keyLen    = len(prefix) + idLen + len("_") + secretLen

	minPepper = 16 // bytes
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrShortPepper reports a pepper that can be guessed.
var ErrShortPepper = errors.New("the key pepper is shorter than 16 bytes")

// Pepper is the secret of everybody who makes or checks keys. Keys made with
// another one are worthless. It may be several secrets, separated by commas:
// keys are made with the first one, and those of all of them are accepted. A
// key stays one of its secret, because its id proves which that is. Spaces
// around a comma belong to no secret; a secret alone is all of its bytes.
type Pepper []byte

// Key is a key, split into its parts.
type Key struct {
	ID     string
	Secret string
}

// String returns the key as clients send it. Show it once and do not log it.
func (k Key) String() string { return prefix + k.ID + "_" + k.Secret }

// Check returns ErrShortPepper if a secret is missing or too short.
func (p Pepper) Check() error {
	for _, secret := range secrets.Split(p) {
		if len(secret) < minPepper {
			return ErrShortPepper
		}
	}
	return nil
}

// first is the secret that keys are made with.
func (p Pepper) first() []byte { return secrets.Split(p)[0] }

// New returns a random key.
func (p Pepper) New() Key { return p.as(strings.ToLower(rand.Text()[:drawn])) }

// NewAs returns a key whose id is derived from the last 7 bytes of seed. Its
// secret is random.
func (p Pepper) NewAs(seed []byte) Key {
	return p.as(letters.EncodeToString(seed[len(seed)-7:])[:drawn])
}

func (p Pepper) as(id string) Key {
	return Key{ID: id + proofOf(p.first(), id), Secret: strings.ToLower(rand.Text() + rand.Text())}
}

// Read splits a key. ok is false for text that New did not make: a wrong shape,
// or an id without its proof.
func (p Pepper) Read(text string) (Key, bool) {
	if len(text) != keyLen {
		return Key{}, false
	}
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || rest[idLen] != '_' {
		return Key{}, false
	}
	k := Key{ID: rest[:idLen], Secret: rest[idLen+1:]}
	if !lettersOnly(k.ID) || !lettersOnly(k.Secret) {
		return Key{}, false
	}
	for _, secret := range secrets.Split(p) {
		if hmac.Equal([]byte(k.ID[drawn:]), []byte(proofOf(secret, k.ID[:drawn]))) {
			return k, true
		}
	}
	return Key{}, false
}

// Hash returns what the database stores of a secret.
func (p Pepper) Hash(secret string) []byte { return mac(p.first(), secret) }

// Holds reports whether hash is that of the secret, in a time that depends on
// neither.
func (p Pepper) Holds(hash []byte, secret string) bool {
	held := false
	for _, s := range secrets.Split(p) {
		held = hmac.Equal(hash, mac(s, secret)) || held
	}
	return held
}

// proofOf hashes another text than a secret's, so that neither reveals anything
// about the other.
func proofOf(secret []byte, drawn string) string {
	return letters.EncodeToString(mac(secret, "id "+drawn))[:proof]
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// IsID reports whether text has the shape of a key's id.
func IsID(text string) bool { return len(text) == idLen && lettersOnly(text) }

func lettersOnly(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// CheckTenant returns an error for an invalid name of a tenant.
func CheckTenant(name string) error {
	ok := name != "" && len(name) <= 63 && name[0] != '-' && name[0] != '_'
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("tenant %q: want 1 to 63 of a-z, 0-9, - and _, a letter or digit first", name)
	}
	return nil
}
