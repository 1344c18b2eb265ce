// Package answers reads requests for clients: one request, the events it
// streamed, lists of responses, and the items in them. It writes nothing.
//
// # Promises
//
//   - A tenant reads only its own requests
//     (TestAnotherTenantsRequestIsNotThere).
//   - A list costs the same whatever the history: each page reads a bounded
//     number of responses (TestListsLookThroughABoundedNumber,
//     TestCostIsIndependentOfTheBacklog) and returns bounded bytes
//     (TestListsAreBoundedInBytes).
//   - All pages of a list together return every response that matches, once
//     (TestListsWalkEverythingThatMatches).
//
// The audit trail of a request is store.Steps.
package answers
