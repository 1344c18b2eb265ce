// Package retention deletes what has been kept for long enough: the rows of
// ended requests, the payloads of requests that are not stored, and idempotency
// keys.
//
// A batch is one statement. A purge that is killed has deleted whole batches,
// and the next one continues (TestAPurgeThatIsBrokenOff). Batches become
// smaller while they take long, and purges use at most a fifth of the time
// (TestBatchesOfAPurge), so that requests do not wait for them.
package retention
