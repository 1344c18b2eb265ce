package compaction

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNoKey reports that no secret is configured.
	ErrNoKey = errors.New("no seal key is configured")
	// ErrSealed reports a text that was not sealed here for the tenant, or
	// under a secret that is gone.
	ErrSealed = errors.New("the sealed content cannot be opened")
	// ErrShortKey reports a secret that can be guessed.
	ErrShortKey = errors.New("a seal key is shorter than 16 bytes")
)

const (
	// minKey is the shortest accepted secret, in bytes.
	minKey = 16
	// version is the first byte of a sealed text, so that the format can
	// change.
	version = 1
	purpose = "windlass compaction"
)

// Keys seal and open. The zero Keys have no secret. Safe for concurrent use.
type Keys struct {
	all []cipher.AEAD // the first seals
}

// ReadKeys reads secrets that are separated by commas: the first one seals, all
// of them open. An empty text has no secret. Returns ErrShortKey.
func ReadKeys(text string) (Keys, error) {
	var k Keys
	if text == "" {
		return k, nil
	}
	for secret := range strings.SplitSeq(text, ",") {
		secret = strings.TrimSpace(secret)
		if len(secret) < minKey {
			return Keys{}, ErrShortKey
		}
		aead, err := newAEAD(secret)
		if err != nil {
			return Keys{}, fmt.Errorf("derive a seal key: %w", err)
		}
		k.all = append(k.all, aead)
	}
	return k, nil
}

func newAEAD(secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Any reports whether there is a secret.
func (k Keys) Any() bool { return len(k.all) > 0 }

// Seal returns the text of an item for a tenant, or ErrNoKey.
func (k Keys) Seal(tenant string, c Content) (string, error) {
	if !k.Any() {
		return "", ErrNoKey
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode a compaction: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(k.all[0].Seal([]byte{version}, nil, plain, bound(tenant))), nil
}

// Open reads a text that Seal made for the tenant. Returns ErrSealed for every
// other text, ErrNoKey without a secret.
func (k Keys) Open(tenant, sealed string) (Content, error) {
	if !k.Any() {
		return Content{}, ErrNoKey
	}
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(b) == 0 || b[0] != version {
		return Content{}, ErrSealed
	}
	for _, aead := range k.all {
		plain, err := aead.Open(nil, nil, b[1:], bound(tenant))
		if err != nil {
			continue
		}
		var c Content
		if err := json.Unmarshal(plain, &c); err != nil {
			return Content{}, fmt.Errorf("decode a compaction: %w", err)
		}
		return c, nil
	}
	return Content{}, ErrSealed
}

// bound is the data that is authenticated besides the content.
func bound(tenant string) []byte { return []byte(purpose + "\x00" + tenant) }
