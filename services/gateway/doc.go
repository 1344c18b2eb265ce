// Package gateway is the HTTP front of Windlass: it accepts requests, waits for
// their answers, cancels them and serves what is stored. It never calls a
// model.
//
// This package assembles the parts, each a package below internal with its own
// promises: auth checks keys, admission accepts requests, wait waits for their
// ends, stream sends their events, idempotency makes POSTs happen once, and the
// packages named …api and socket serve the routes. They are layered: a package
// imports only packages of earlier layers (package rules holds the order).
//
// # Promises
//
//   - With Postgres away every endpoint answers 503 with Retry-After within a
//     second (TestPostgresAwayIsSaidWithinASecond). With NATS away everything
//     works; a foreground answer may take a poll interval longer
//     (TestNATSAwayDoesNotStopRequests).
//   - A key sees the requests of its tenant only. An id of another tenant
//     answers like one that names nothing, on every route
//     (TestTenantsDoNotSeeEachOther).
//   - Every route is described in the OpenAPI document
//     (TestEveryRouteIsDescribed).
//   - What a key makes a gateway hold is bounded by its share of memory: bodies
//     that arrive (TestHalfSentBodiesHoldAShare) and answers that are not read
//     (TestUnreadAnswersHoldAShare). A request that waits for its model holds
//     nothing of its body (TestAWaitingRequestHoldsNoBody).
//   - A drain takes no new connections, lets waiting clients wait for
//     DrainGrace, and tells the others where their answer will be
//     (TestDrainLetsWaitersWaitWithinItsGrace).
//
// # Decisions
//
//   - Readiness does not depend on NATS: requests are accepted without it and
//     dispatched when it is back.
//   - The only upstream call is GET /v1/models of the wildcard's upstream
//     (package catalog), which needs the upstream's credential in the
//     environment.
package gateway
