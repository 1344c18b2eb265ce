// Package bench measures what Windlass costs: throughput, added latency, and
// what each step takes of Postgres, NATS and the processors. It compares each
// with a plain loop that makes the same calls and stores nothing.
//
// Run starts a stack in child processes, so that processor time is measured for
// each: Postgres with its durable defaults, a NATS server, the scripted model
// and tools, and the five services in one process. The load comes from this
// process, in a closed loop: each worker has one request in flight.
//
// It promises:
//   - Every answer is compared with the one its plan must have, and the ledger
//     of the scripted model and tools is audited: each step is called once,
//     each tool call under its own key. A measurement that fails this has no
//     score, and Run fails (TestAudit, TestReportWithoutScore).
//   - Added latency is paired: the plain loop runs the same seeds in the same
//     process against the same servers (TestAddedIsPairedBySeed).
//   - Time and count are bounded, and no process or file is left behind
//     (TestDriveStops, TestBenchLeavesAReportAndNothingElse).
//   - Reading counters and measuring the disk are outside the measured time.
//     Only the memory of the processes is read during it, once a second.
//
// It does not promise latency under a given arrival rate, because a closed loop
// slows down with what it measures; processor and memory figures on systems
// without /proc; or figures that can be compared between machines. The unit f,
// one flush of 8 kB, removes the disk from latencies; nothing removes the
// processor.
package bench
