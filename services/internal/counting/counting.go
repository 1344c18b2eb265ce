// Package counting names the requests that count the tokens of an input, for who accepts them and who carries them out.
package counting

// Endpoint is that of requests that count, as in store.NewRequest.
const Endpoint = "responses/input_tokens"
