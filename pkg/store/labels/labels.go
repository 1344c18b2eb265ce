// Package labels names what lists of responses filter by: a pair of metadata,
// or what a response continues. The table labels has one row per label of a
// response, which its accept writes.
package labels

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// hash returns the label of a pair of a tenant's metadata or, with one part
// more, of what a response continues. Keys and values are any text, U+0000
// included, which Postgres would refuse; and a hash is short. Two different
// labels are equal only by a collision of SHA-256 cut to 128 bits.
func hash(parts ...string) uuid.UUID {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return uuid.UUID(h.Sum(nil)[:16])
}

// Of returns the labels, in no order, of a tenant's response with this metadata
// that continues parent and conversation; uuid.Nil continues nothing.
func Of(tenant string, metadata map[string]string, parent, conversation uuid.UUID) [][16]byte {
	all := make([][16]byte, 0, len(metadata)+2)
	for key, value := range metadata {
		all = append(all, hash(tenant, key, value))
	}
	if parent != uuid.Nil {
		all = append(all, hash(tenant, "", "previous", parent.String()))
	}
	if conversation != uuid.Nil {
		all = append(all, hash(tenant, "", "conversation", conversation.String()))
	}
	return all
}
