package store

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// label names what a list may ask for: a pair of a tenant's metadata, or, with one part more, what a response continues. Keys and
// values are any text, U+0000 included, which Postgres would not take; and a hash is short. Two labels that are the same would be a
// collision of SHA-256 to 128 bits.
func label(parts ...string) uuid.UUID {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return uuid.UUID(h.Sum(nil)[:16])
}

// labels are those of a tenant's response with this metadata that continues these, in no order; uuid.Nil continues nothing.
func labels(tenant string, metadata map[string]string, parent, conversation uuid.UUID) [][16]byte {
	all := make([][16]byte, 0, len(metadata)+2)
	for key, value := range metadata {
		all = append(all, label(tenant, key, value))
	}
	if parent != uuid.Nil {
		all = append(all, label(tenant, "", "previous", parent.String()))
	}
	if conversation != uuid.Nil {
		all = append(all, label(tenant, "", "conversation", conversation.String()))
	}
	return all
}

// labelsOf are the labels of requests that lists show, each beside its request's id.
func labelsOf(all []NewRequest) (requests, names [][16]byte) {
	requests, names = [][16]byte{}, [][16]byte{}
	for _, n := range all {
		if n.Unstored || n.Endpoint != Responses {
			continue
		}
		for _, name := range labels(n.Tenant, n.Metadata, n.Parent, n.Conversation) {
			requests, names = append(requests, n.ID), append(names, name)
		}
	}
	return requests, names
}
