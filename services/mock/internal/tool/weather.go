package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"windlass.dev/windlass/services/mock/internal/jsontext"
)

// Weather is the name of the demo's tool.
const Weather = "get_weather"

func readCity(body []byte) (string, error) {
	var args struct {
		City string `json:"city"`
	}
	if err := json.Unmarshal(body, &args); err != nil {
		return "", fmt.Errorf("arguments of %s are not as its schema says: %w", Weather, err)
	}
	if args.City == "" {
		return "", errors.New("arguments of " + Weather + " name no city")
	}
	return args.City, nil
}

// reportWeather returns the report on a city, always the same one.
func reportWeather(city string) []byte {
	skies := [...]string{"sunny", "cloudy", "rainy", "foggy", "windy"}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(strings.ToLower(city)))
	sum := hash.Sum32()
	b := jsontext.AppendString([]byte(`{"city":`), city)
	return fmt.Appendf(b, `,"temperature_c":%d,"sky":"%s"}`, 4+sum%25, skies[sum/25%uint32(len(skies))])
}
