// Package live writes and reads the live streams of answers: the frames of one
// request, in order, until its answer is archived.
//
// It promises:
//
//   - A reader gets every stored message once and in order, whenever it starts
//     (TestAReaderWhoComesLateGetsEverything) and however slow it is
//     (TestAReaderWhoDoesNotReadLosesNothing), or ErrLost
//     (TestAStreamMadeAnewIsLost).
//   - A writer never stops the run: without the bus it loses the stream and
//     goes on (TestAWriterWithoutABusLosesItsStreamAndGoesOn).
//   - Readers of one stream share a subscription and their reads
//     (TestReadersOfOneStreamShareASubscription,
//     TestReadersWhoComeLateTogetherReadTogether).
//   - The last frame is stored behind everything or not at all
//     (TestAStreamEndsOnceBehindEverything).
//
// The tests are in package bus. It does not promise that frames survive: a
// request whose frames are lost is served from its row.
package live
