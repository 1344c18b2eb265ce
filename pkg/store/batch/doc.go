// Package batch is the group commit: it joins calls that wait for the database
// at the same time into one statement, one round trip and one commit.
//
// # Promises
//
//   - Under load the number of statements depends on the number of running
//     statements, not on the number of calls (TestQueueJoinsWhatWaits,
//     TestManyCallsMakeFewStatements).
//   - An item that the server refuses fails alone: its statement is repeated
//     item by item. An outage fails all of them and repeats nothing
//     (TestQueueOneBadItemFailsAlone, TestBadTurnFailsAlone).
//   - A caller that leaves does not end the others' statement
//     (TestQueueWaiterLeaves, TestQueueLeaderIsCancelled).
//   - No goroutine outlives the calls.
//
// It does not promise an order between items.
package batch
