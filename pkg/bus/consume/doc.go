// Package consume takes messages from consumers, calls handlers, and is the one
// place that acknowledges.
//
// It promises:
//
//   - A message is acknowledged after its handler returned, never before, as
//     decide says (TestDecide).
//   - A handler that is alive keeps its message: the lease is renewed every
//     third of AckWait (TestLeaseOfALongHandlerIsRenewed). A handler whose
//     process dies, or that panics, loses it after AckWait
//     (TestPanicLeavesTheMessageForAnAckWait).
//   - A drain hands back what was pulled and not started, lets handlers end
//     within their grace, and waits for every goroutine (TestDrainLosesNothing,
//     TestDrainLetsHandlersEnd, TestDrainCancelsAfterTheGraceAndHandsBack).
//   - Run and RunBatches return no error for missing streams and consumers:
//     they have them repaired (TestRunStartedBeforeTheStreamsExist).
//   - A later version reads messages of an earlier one
//     (TestWireOfEarlierVersions).
//
// Tests of whole deliveries are in package bus.
//
// It does not promise that a message is handled once: redelivery, a republish
// after an ack and a late renewal all lead to a second call, which the row's
// fence in the store makes harmless. Nor that an acknowledgement arrives: it is
// sent, not awaited.
package consume
