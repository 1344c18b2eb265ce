package rules

import "testing"

// report fails the test with the faults that it found.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}
