// Package conversations keeps conversations and their items, in the tables
// conversations and conversation_items.
//
// # Promises
//
//   - A conversation owns its items. What a response adds is written here in
//     the commit that ends it (store.Settle), and from then on response and
//     conversation are deleted independently
//     (TestADeletedResponseLeavesItsItems).
//   - A response in flight locks its conversation, so that all of its turns see
//     the same history. Every end of the response unlocks it, because the
//     response's row is the lock (TestEveryEndUnlocksAConversation).
//   - A write names the version that it was decided on and changes nothing if
//     the conversation has another one (TestAcceptOnAConversationThatMovedOn,
//     TestChangeItems).
//   - Tenants see only their own conversations
//     (TestAnotherTenantsConversationIsNotThere).
//
// # Decisions
//
// Reading items out of the rows of their responses would save a copy, but bind
// the life of a response, and its purge, to a conversation that may be kept for
// years. Each response adds only its own items, so that storage stays linear in
// turns.
//
// Deleting a conversation needs no lock: the foreign key of its items keeps a
// settlement from adding to what is being deleted
// (TestSettlementOnADeletedConversation).
package conversations
