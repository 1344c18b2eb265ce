// Package spec embeds the OpenAPI document of the Open Responses specification,
// release 2026-04-24, as published. The API's own document takes schemas from
// it, and tests check against it.
package spec

import _ "embed"

// Document is the specification's OpenAPI 3.1 document, as JSON. Do not change
// it.
//
//go:embed openresponses-2026-04-24.json
var Document []byte
