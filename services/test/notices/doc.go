// Package notices holds THIRD_PARTY_NOTICES.txt to what is linked into the
// binaries: the modules, their versions, and the texts of their licences, from
// the module cache. A licence that is not allowed fails the test.
//
//	go test ./services/test/notices -update
//
// writes the file again.
package notices
