// Package secrets reads settings that hold one secret or several, so that a
// secret can be rotated while services run: the first one is used for what is
// new, all of them are accepted.
package secrets

import "bytes"

// Split returns the secrets of a list that is separated by commas. Spaces
// around a comma belong to no secret; a secret alone is all of its bytes
// (TestSplit).
func Split(list []byte) [][]byte {
	all := bytes.Split(list, []byte(","))
	if len(all) == 1 {
		return all
	}
	for i, secret := range all {
		all[i] = bytes.TrimSpace(secret)
	}
	return all
}
