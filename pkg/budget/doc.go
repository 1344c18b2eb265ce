// Package budget bounds the memory that clients and servers outside can make a
// process hold: bodies, messages of WebSockets, backlogs of readers, answers of
// models.
//
// A Budget is a number of bytes for the whole process. Who is about to hold
// bytes for a tenant opens a Lease, grows it before the bytes are allocated,
// step by step as they arrive, and closes it when they are released. A lease
// that may not grow returns ErrShare or ErrFull, and its owner refuses the
// work, cuts the slow one, or waits for a short time with Await.
//
// Shares are dynamic thresholds, as in the buffers of network switches: a
// tenant may hold as much as would then be free, and one key half of that. A
// single greedy tenant gets at most half of the budget, n of them get
// 1/(n+1) each, and there is always room for another one. Nothing is
// configured per tenant, and nothing needs to know who else wants memory.
//
// It promises that
//
//   - the sum of all leases never exceeds the budget
//     (TestTheSumStaysInTheBudget);
//   - one tenant holds at most half of it, one key a third, and a tenant that
//     comes while others hold all that they may gets its part
//     (TestSharesLeaveRoomForOthers);
//   - ErrShare is for a tenant or key that holds its part, ErrFull for one that
//     is refused because of others (TestWhoIsToBlame);
//   - growing and shrinking allocate nothing (TestGrowAllocatesNothing).
//
// The bytes are what owners say. It neither measures nor limits the heap: a
// budget is half of the memory that the process may use (package process), and
// the rest is for the collector and for what no client causes.
package budget
