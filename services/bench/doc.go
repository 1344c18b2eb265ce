// Package bench measures what Windlass costs: throughput, added latency, and what each step takes of Postgres, NATS and the
// processors, beside a plain loop that makes the same calls and keeps nothing.
//
// Run starts a stack of its own in child processes, so that processor time can be told apart: Postgres with its durable defaults,
// a NATS server, the scripted model and tools, and the five services in one process. The load comes from this process, in a
// closed loop: each worker has one request in flight.
//
// What it promises:
//   - Every answer is compared with the one its plan must have, and the ledger of the scripted model and tools is audited: each
//     step was called once, each tool call under a key of its own. A measurement that fails this has no score, and Run fails.
//   - Added latency is paired: the plain loop runs the same seeds in the same process against the same servers.
//   - Everything is bounded in time and count, and nothing it started is left running.
//   - The work of the measurement itself (reading counters, checking the disk) is outside the measured time, but for a look at the
//     memory of the processes once a second.
//
// What it does not promise: latency under a given arrival rate (a closed loop slows down with what it measures), processor and
// memory figures on systems without /proc, or figures of one run that can be compared with those of another machine. The unit f,
// one flush of 8 kB on the disk in use, takes the disk out of latencies; nothing takes the processor out.
package bench
