// Package mutants measures what the tests let through: it breaks one promise at
// a time in the product's code and runs the tests that have to notice.
//
// The mutants are written by hand, in testdata, because a generator changes
// operators and constants of which most break no promise, and each try costs
// seconds here: the tests use a real Postgres and a real NATS. Package gremlins
// was tried; it runs all tests of a module for each mutant.
//
// Each mutant names its file, the promise that it breaks, the packages whose
// tests must fail, and the text to replace. A line of the old text begins with
// "-", one of the new text with "+"; blanks at the start of the text and at its
// end do not count. One that nothing can notice says why, after "survives".
//
// The normal run checks that each old text occurs exactly once (TestData). The
// mutants run with the build tag mutants:
//
//	go test -tags mutants -v -timeout 6h ./services/test/mutants
//	go test -tags mutants -v ./services/test/mutants -run TestMutants/store
//
// Go's overlay replaces the file, so that the working tree is not touched. A
// mutant counts as caught when a test fails or the packages exceed their time;
// one that does not compile fails the run. The packages are run once without a
// mutant first, because tests that fail anyway catch nothing.
package mutants
