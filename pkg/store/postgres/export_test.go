package postgres

// What the tests of package postgres_test need from inside.
var (
	ConnectReason    = connectReason
	TransientClasses = transientClasses
	TransientCodes   = transientCodes
)

const StalePlan = stalePlan

// ParseURL reports whether a pool can be made from the URL.
func ParseURL(url string) error {
	out := &outage{}
	_, err := poolConfig(url, out, &hosts{outage: out})
	return err
}

// Settings returns the settings of every statement by name.
func Settings() map[string]string {
	all := map[string]string{}
	for _, s := range settings {
		all[s.name] = s.value
	}
	return all
}
